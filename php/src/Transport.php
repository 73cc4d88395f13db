<?php

declare(strict_types=1);

namespace Phpgw;

/** How requests reach the gateway; one of your own can record them in tests. */
interface Transport
{
    /**
     * @param string $body empty with GET
     * @param array<string, string> $headers
     * @throws GatewayError if there is no answer
     */
    public function request(string $method, string $url, string $body, array $headers): ApiResponse;
}
