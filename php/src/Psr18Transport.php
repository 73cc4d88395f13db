<?php

declare(strict_types=1);

namespace Phpgw;

use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\StreamFactoryInterface;

/** With any PSR-18 client. Its time-outs are the client's own: set short ones, since a page waits. */
final class Psr18Transport implements Transport
{
    public function __construct(
        private readonly ClientInterface $client,
        private readonly RequestFactoryInterface $requests,
        private readonly StreamFactoryInterface $streams,
    ) {
    }

    public function request(string $method, string $url, string $body, array $headers): ApiResponse
    {
        $request = $this->requests->createRequest($method, $url)->withBody($this->streams->createStream($body));
        foreach ($headers as $name => $value) {
            $request = $request->withHeader($name, $value);
        }
        try {
            $response = $this->client->sendRequest($request);
            return new ApiResponse($response->getStatusCode(), (string) $response->getBody());
        } catch (ClientExceptionInterface $error) {
            throw new GatewayError('No answer from the gateway: ' . $error->getMessage(), previous: $error);
        }
    }
}
