<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * A reply that is sent while it is being made, from Reply::stream(): each command is run as soon as it is written.
 *
 * Call session_write_close() first, or the user's pages wait for the end of it.
 */
final class Stream
{
    use Answering;
    use Commanding;

    /** For a framework's streamed response. */
    public const HEADERS = ['Content-Type' => 'application/x-ndjson', 'X-Accel-Buffering' => 'no'];

    /** @throws \LogicException if something was printed before, so that nobody would know it for commands */
    public function __construct()
    {
        Printed::check(['Content-Type' => self::HEADERS['Content-Type']]);
        if (!headers_sent()) {
            ini_set('zlib.output_compression', '0');
            foreach (self::HEADERS as $name => $value) {
                header("$name: $value");
            }
        }
        while (ob_get_level() > 0 && @ob_end_flush()) { // false, with a notice, for one that may not be removed
            continue;
        }
    }

    public function command(array $command): static
    {
        echo Command::encode($command), "\n";
        flush();
        return $this;
    }
}
