<?php

declare(strict_types=1);

namespace Phpgw;

/** Messages that were sent to a group, in order. */
final class History
{
    /**
     * @param list<string|Binary> $messages
     * @param bool $hasGap whether messages before these are missing, or may be: show all anew
     * @param bool $hasMore whether there are more messages behind these
     * @param Position|null $position where to read on; null if the gateway is away, and there was none before
     */
    public function __construct(
        public readonly array $messages,
        public readonly bool $hasGap,
        public readonly bool $hasMore,
        public readonly ?Position $position,
    ) {
    }

    /**
     * @param array<string, mixed> $page what the gateway tells; nothing if it is away
     * @param Position|null $after which was asked for
     * @internal
     */
    public static function from(array $page, ?Position $after): self
    {
        [$offset, $epoch] = [$page['offset'] ?? null, $page['epoch'] ?? null];
        if (!is_int($offset) || !is_string($epoch) || !is_array($page['messages'] ?? null)) {
            // Nobody knows what has been missed.
            return new self([], $after !== null, false, $after);
        }
        $messages = [];
        foreach ($page['messages'] as $each) {
            [$text, $data] = [$each['message'] ?? null, $each['data'] ?? null];
            if (is_string($text)) {
                $messages[] = $text;
            } elseif (is_string($data)) {
                $messages[] = new Binary((string) base64_decode($data, true));
            }
        }
        return new self(
            $messages,
            ($page['gap'] ?? true) !== false,
            ($page['more'] ?? false) === true,
            new Position($offset, $epoch),
        );
    }
}
