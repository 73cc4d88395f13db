<?php

declare(strict_types=1);

namespace Phpgw;

/** The gateway could not be reached, or would not do it. */
final class GatewayError extends \RuntimeException
{
    /**
     * @param int $status the HTTP status of its answer, 0 if there was none
     * @param int|null $index which command of a batch is wrong, from 0
     * @param string|null $field the field of that command, such as "to.group"
     */
    public function __construct(
        string $message,
        public readonly int $status = 0,
        public readonly ?int $index = null,
        public readonly ?string $field = null,
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $status, $previous);
    }
}
