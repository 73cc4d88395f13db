<?php

declare(strict_types=1);

namespace Phpgw;

/** What the gateway's API has answered. */
final class ApiResponse
{
    /** @var array<mixed>|null what the body says in JSON; null if it is none */
    public readonly ?array $data;

    public function __construct(public readonly int $status, public readonly string $body)
    {
        $data = json_decode($body, true);
        $this->data = is_array($data) ? $data : null;
    }
}
