<?php

declare(strict_types=1);

namespace Phpgw;

/** How frames reach Redis; one of your own can use the client of your framework, or record them in tests. */
interface Publisher
{
    /**
     * @param list<array{string, string}> $frames channels and messages, for PUBLISH, in this order
     * @return list<int> what PUBLISH has returned for each
     * @throws GatewayError if that is not known
     */
    public function publish(array $frames): array;
}
