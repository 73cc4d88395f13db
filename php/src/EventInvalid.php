<?php

declare(strict_types=1);

namespace Phpgw;

/** A request that is no event of the gateway. Its code is the HTTP status to answer with. */
class EventInvalid extends \RuntimeException
{
    public function __construct(string $message, int $status = 400)
    {
        parent::__construct($message, $status);
    }
}
