<?php

declare(strict_types=1);

namespace Phpgw;

/** A place in the history of a group: behind the message with this offset. As a text, it can be kept anywhere. */
final class Position
{
    /**
     * @param int $offset how many messages the group has had in this epoch
     * @param string $epoch a new one where messages may have been lost without a trace, such as after a restart
     */
    public function __construct(public readonly int $offset, public readonly string $epoch)
    {
    }

    /** Reads what was a position as a text once; null if it is none. */
    public static function fromText(string $text): ?self
    {
        $isPosition = preg_match('/^([0-9]{1,15})-([^\x00-\x20]{1,64})$/D', $text, $parts) === 1;
        return $isPosition ? new self((int) $parts[1], $parts[2]) : null;
    }

    public function __toString(): string
    {
        return "$this->offset-$this->epoch";
    }
}
