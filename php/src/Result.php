<?php

declare(strict_types=1);

namespace Phpgw;

/** What became of commands. */
final class Result
{
    /** Whether the gateway has run them. That a client is gone by now is no failure: see $delivered. */
    public readonly bool $ok;

    /** Why it has not, for a log. */
    public readonly ?string $error;

    /** How many clients they have reached, all commands added up. */
    public readonly int $delivered;

    /**
     * @param list<array{
     *     delivered: int, error?: string, positions?: list<array{group: string, offset: int, epoch: string}>
     * }> $results one for each command, in order; none if it failed
     */
    public function __construct(public readonly array $results, private readonly ?GatewayError $failure = null)
    {
        $this->ok = $failure === null;
        $this->error = $failure?->getMessage();
        $sum = array_sum(array_column($results, 'delivered'));
        $this->delivered = is_int($sum) ? $sum : PHP_INT_MAX;
    }

    /** Where the last message to a group is in its history; null if it has none. */
    public function position(string|int $group): ?Position
    {
        foreach (array_reverse($this->results) as $result) {
            foreach ($result['positions'] ?? [] as $each) {
                if ($each['group'] === (string) $group) {
                    return new Position($each['offset'], $each['epoch']);
                }
            }
        }
        return null;
    }

    /** @throws GatewayError if the gateway has not run them */
    public function orThrow(): self
    {
        return $this->failure === null ? $this : throw $this->failure;
    }
}
