<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * Commands that go to the gateway in one request, from Gateway::batch().
 *
 * The gateway checks them all before it runs the first: where one is wrong, none has run.
 */
final class Batch
{
    use Commanding;

    /** @var list<array<string, mixed>> */
    private array $commands = [];

    public function __construct(private readonly Gateway $gateway)
    {
    }

    public function command(array $command): static
    {
        $this->commands[] = $command;
        return $this;
    }

    /** Has the gateway run them, in order; the batch is empty then, and can be filled anew. */
    public function run(): Result
    {
        [$commands, $this->commands] = [$this->commands, []];
        return $this->gateway->commands($commands);
    }
}
