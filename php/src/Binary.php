<?php

declare(strict_types=1);

namespace Phpgw;

/** A message that is sent as a binary frame: a Blob or an ArrayBuffer in the browser. */
final class Binary
{
    public function __construct(public readonly string $bytes)
    {
    }
}
