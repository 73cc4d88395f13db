<?php

declare(strict_types=1);

namespace Phpgw;

/** A connected client as the gateway knows it. */
final class ClientInfo
{
    /**
     * @param string|null $user whose it is, if it has been bound
     * @param list<string> $groups
     * @param string|null $state what setState() has set
     * @param array<string, mixed> $details all that the gateway tells, such as address, connected_at and user_agent
     */
    public function __construct(
        public readonly string $id,
        public readonly ?string $user,
        public readonly array $groups,
        public readonly ?string $state,
        public readonly array $details,
    ) {
    }

    /**
     * @param array<string, mixed> $details
     * @internal
     */
    public static function from(array $details): self
    {
        $text = static fn (string $name): ?string => is_string($details[$name] ?? null) ? $details[$name] : null;
        $groups = is_array($details['groups'] ?? null) ? $details['groups'] : [];
        return new self(
            $text('client_id') ?? '',
            $text('user'),
            array_values(array_filter($groups, is_string(...))),
            $text('state'),
            $details,
        );
    }
}
