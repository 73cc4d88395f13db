<?php

declare(strict_types=1);

namespace Phpgw;

/** With ext-curl, over one connection that is kept for as long as the object lives. */
final class CurlTransport implements Transport
{
    private ?\CurlHandle $curl = null;

    /**
     * @param float $connectTimeout seconds
     * @param float $timeout seconds, for all of a request
     * @param string|null $socket path of the UNIX socket that the gateway's API listens on
     */
    public function __construct(
        private readonly float $connectTimeout = 0.3,
        private readonly float $timeout = 2.0,
        private readonly ?string $socket = null,
    ) {
        if (!extension_loaded('curl')) {
            throw new \LogicException('Phpgw needs the PHP extension curl, or a PSR-18 client: see Psr18Transport.');
        }
    }

    public function request(string $method, string $url, string $body, array $headers): ApiResponse
    {
        $lines = ['Expect:'];
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        $options = [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT_MS => (int) ($this->connectTimeout * 1000),
            CURLOPT_TIMEOUT_MS => (int) ($this->timeout * 1000),
            CURLOPT_NOSIGNAL => true, // with it, limits below a second work everywhere
            CURLOPT_PROXY => '', // the gateway is near: never by a proxy from the environment
        ];
        if ($body !== '') {
            $options[CURLOPT_POSTFIELDS] = $body;
        }
        if ($this->socket !== null) {
            $options[CURLOPT_UNIX_SOCKET_PATH] = $this->socket;
        }
        $this->curl ??= curl_init();
        curl_reset($this->curl); // keeps the connection
        curl_setopt_array($this->curl, $options);
        $answer = curl_exec($this->curl);
        if (!is_string($answer)) {
            throw new GatewayError('No answer from the gateway: ' . curl_error($this->curl));
        }
        return new ApiResponse(curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $answer);
    }
}
