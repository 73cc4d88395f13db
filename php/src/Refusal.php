<?php

declare(strict_types=1);

namespace Phpgw;

/** A handshake that is refused, from Reply::refuse(). */
final class Refusal extends Answer
{
    /** @param int $status from 400 to 499: anything else would not reach the browser */
    public function __construct(private readonly int $status, private readonly string $text)
    {
        if ($status < 400 || $status > 499) {
            throw new \InvalidArgumentException("A handshake is refused with a status from 400 to 499, not $status.");
        }
    }

    public function status(): int
    {
        return $this->status;
    }

    public function headers(): array
    {
        return ['Content-Type' => 'text/plain; charset=utf-8'];
    }

    public function body(): string
    {
        return $this->text;
    }
}
