<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * An answer to an event, as the HTTP response that it becomes.
 *
 * A framework makes its own of it: new Response($reply->body(), $reply->status(), $reply->headers()).
 */
abstract class Answer
{
    abstract public function status(): int;

    /** @return array<string, string> */
    abstract public function headers(): array;

    abstract public function body(): string;

    /**
     * Makes it the response of this script.
     *
     * @throws \LogicException if something was printed before: status and headers cannot be said any more, and the
     *     gateway would take a refusal for a consent, or commands for a text
     */
    final public function emit(): void
    {
        Printed::check();
        http_response_code($this->status());
        foreach ($this->headers() as $name => $value) {
            header("$name: $value");
        }
        echo $this->body();
    }
}
