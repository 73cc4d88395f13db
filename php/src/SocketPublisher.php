<?php

declare(strict_types=1);

namespace Phpgw;

/** Without any extension, over a connection that is kept for as long as the object lives. */
final class SocketPublisher implements Publisher
{
    private readonly string $address;
    private readonly string $user;

    /** @var resource|null */
    private $socket = null;

    /**
     * @param string $url as the gateways' --bus: redis://[USER@]HOST[:PORT], rediss:// for TLS, or unix:/PATH
     * @param string|null $password what is in their --bus-password-file, if there is one
     * @param float $connectTimeout seconds
     * @param float $timeout seconds, for each reply
     * @param array<string, mixed> $tls options of PHP's ssl context, such as cafile
     */
    public function __construct(
        string $url,
        #[\SensitiveParameter] private readonly ?string $password = null,
        private readonly float $connectTimeout = 0.3,
        private readonly float $timeout = 2.0,
        private readonly array $tls = [],
    ) {
        $pattern = '~^(?:unix:(?<path>/.+)|(?<scheme>rediss?)://(?:(?<user>[^@:/]+)@)?(?<host>\[[^]]+\]|[^:/@]+)'
            . '(?::(?<port>\d+))?/?)$~';
        if (preg_match($pattern, $url, $parts) !== 1) {
            throw new \InvalidArgumentException('Expected redis://HOST:6379, rediss://HOST:6379 or unix:/PATH.');
        }
        $this->user = $parts['user'] ?? '';
        $port = ($parts['port'] ?? '') === '' ? '6379' : $parts['port'];
        $transport = ($parts['scheme'] ?? '') === 'rediss' ? 'tls' : 'tcp';
        $this->address = $parts['path'] !== '' ? "unix://{$parts['path']}" : "$transport://{$parts['host']}:$port";
    }

    public function publish(array $frames): array
    {
        $commands = array_map(static fn (array $frame): array => ['PUBLISH', ...$frame], $frames);
        try {
            return $this->ask($commands);
        } catch (GatewayError $error) {
            $this->socket = null;
            throw $error;
        }
    }

    /**
     * @param list<list<string>> $commands
     * @return list<int>
     * @throws GatewayError
     */
    private function ask(array $commands): array
    {
        $socket = $this->connection();
        self::write($socket, $commands);
        $counts = [];
        foreach ($commands as $_) {
            $reply = self::read($socket);
            if ($reply[0] !== ':') {
                throw new GatewayError("Redis: $reply");
            }
            $counts[] = (int) substr($reply, 1);
        }
        return $counts;
    }

    /**
     * @return resource
     * @throws GatewayError
     */
    private function connection()
    {
        // A connection that Redis has closed meanwhile is at its end.
        if ($this->socket !== null && !self::isClosed($this->socket)) {
            return $this->socket;
        }
        $context = stream_context_create(['ssl' => $this->tls]);
        $flags = STREAM_CLIENT_CONNECT;
        $socket = @stream_socket_client($this->address, $number, $text, $this->connectTimeout, $flags, $context);
        if ($socket === false) {
            throw new GatewayError("Redis cannot be reached at $this->address: " . ($text ?: 'TLS failed'));
        }
        $seconds = (int) $this->timeout;
        stream_set_timeout($socket, $seconds, (int) (($this->timeout - $seconds) * 1_000_000));
        if ($this->password !== null) {
            $words = $this->user === '' ? [$this->password] : [$this->user, $this->password];
            self::write($socket, [['AUTH', ...$words]]);
            $reply = self::read($socket);
            if ($reply !== '+OK') {
                throw new GatewayError("Redis: $reply");
            }
        }
        return $this->socket = $socket;
    }

    /** @param resource $socket */
    private static function isClosed($socket): bool
    {
        [$read, $write, $except] = [[$socket], null, null];
        return stream_select($read, $write, $except, 0) !== 0;
    }

    /**
     * @param resource $socket
     * @param list<list<string>> $commands
     * @throws GatewayError
     */
    private static function write($socket, array $commands): void
    {
        $data = '';
        foreach ($commands as $words) {
            $data .= '*' . count($words) . "\r\n";
            foreach ($words as $word) {
                $data .= '$' . strlen($word) . "\r\n$word\r\n";
            }
        }
        for ($sent = 0; $sent < strlen($data); $sent += $count) {
            $count = @fwrite($socket, substr($data, $sent));
            if ($count === false || $count === 0) {
                throw new GatewayError('Redis: the connection was lost');
            }
        }
    }

    /**
     * @param resource $socket
     * @throws GatewayError
     */
    private static function read($socket): string
    {
        $line = fgets($socket);
        if ($line === false || !str_ends_with($line, "\r\n")) {
            throw new GatewayError('Redis: no reply');
        }
        return substr($line, 0, -2);
    }
}
