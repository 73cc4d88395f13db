<?php

declare(strict_types=1);

namespace Phpgw;

/** An event that cannot have come from the gateway: not signed, not with this secret, or not just now. */
final class SignatureInvalid extends EventInvalid
{
    public function __construct(string $message)
    {
        parent::__construct($message, 403);
    }
}
