<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * What was printed before the answer, so that PHP cannot send the answer's status and headers any more.
 *
 * @internal
 */
final class Printed
{
    /**
     * @param array<string, string> $sent headers that are as good: a framework has sent them itself
     * @throws \LogicException if there is something
     */
    public static function check(array $sent = []): void
    {
        if (!headers_sent($file, $line)) {
            return;
        }
        foreach ($sent as $name => $value) {
            if (in_array(strtolower("$name: $value"), array_map(strtolower(...), headers_list()), true)) {
                return;
            }
        }
        throw new \LogicException(
            "Something was printed before the answer, in $file on line $line, so its status and headers are lost. Is "
            . 'there a blank line or a byte order mark before <?php?',
        );
    }
}
