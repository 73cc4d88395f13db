<?php

declare(strict_types=1);

namespace Phpgw;

/** What became of commands on the bus. */
final class Published
{
    /** Whether they were published. */
    public readonly bool $ok;

    /** Why not, for a log. */
    public readonly ?string $error;

    /**
     * @param list<int> $nodes how many gateways have received each command; 0 for one that nobody is there for
     */
    public function __construct(public readonly array $nodes, private readonly ?GatewayError $failure = null)
    {
        $this->ok = $failure === null;
        $this->error = $failure?->getMessage();
    }

    /** @throws GatewayError if they were not published */
    public function orThrow(): self
    {
        return $this->failure === null ? $this : throw $this->failure;
    }
}
