<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * The bus between several gateways (--bus): commands go to Redis or Valkey, past the API, in one round trip.
 *
 * For applications that push thousands of messages a second. Nobody tells how many clients got a message, and an
 * invalid command is only logged, by the gateways: what has to be sure goes through Gateway. Fill it, and run() it:
 * $bus->sendToUser(42, 'hi')->sendToGroup('room-1', $json)->run().
 */
final class Bus
{
    use Commanding;

    /** Gateways read a longer frame with pauses in between. */
    private const MAX_FRAME = 16_000;

    /** @var list<array<string, mixed>> */
    private array $commands = [];

    private readonly string $prefix;

    /**
     * @param Publisher $publisher new SocketPublisher('redis://127.0.0.1:6379'), or new PhpRedisPublisher($redis)
     * @param string $prefix the gateways' --bus-prefix
     * @param (\Closure(GatewayError): mixed)|null $onError called with each failure; it may throw it
     */
    public function __construct(
        private readonly Publisher $publisher,
        string $prefix = 'phpgw',
        private readonly ?\Closure $onError = null,
    ) {
        $this->prefix = "$prefix:1:";
    }

    public function command(array $command): static
    {
        $this->commands[] = $command;
        return $this;
    }

    /** Publishes the commands, in order; it is empty then, and can be filled anew. */
    public function run(): Published
    {
        [$commands, $this->commands] = [$this->commands, []];
        if ($commands === []) {
            return new Published([]);
        }
        try {
            return new Published($this->publish($commands));
        } catch (GatewayError $error) {
            if ($this->onError !== null) {
                ($this->onError)($error);
            }
            return new Published([], $error);
        }
    }

    /**
     * @param list<array<string, mixed>> $commands
     * @return list<int> how many gateways have received each
     * @throws GatewayError
     */
    private function publish(array $commands): array
    {
        /** @var list<array{string, string}> $frames */
        $frames = [];
        /** @var list<array{int, int}> $places each command's number, and that of a frame that it is in */
        $places = [];
        foreach ($commands as $number => $command) {
            foreach ($this->routes($command) as [$channel, $part]) {
                $text = self::encode($part);
                $last = count($frames) - 1;
                if ($last < 0 || $frames[$last][0] !== $channel
                    || strlen($frames[$last][1]) + strlen($text) > self::MAX_FRAME) {
                    $frames[++$last] = [$channel, $text];
                } else {
                    $frames[$last][1] .= ",$text";
                }
                $places[] = [$number, $last];
            }
        }
        $counts = $this->publisher->publish(
            array_map(fn (array $frame): array => [$this->prefix . $frame[0], "[$frame[1]]"], $frames),
        );
        $nodes = array_fill(0, count($commands), 0);
        foreach ($places as [$number, $frame]) {
            $nodes[$number] += $counts[$frame] ?? 0;
        }
        return array_values($nodes);
    }

    /**
     * The channels for a command, each with the part of it that is for the clients there.
     *
     * @param array<string, mixed> $command
     * @return list<array{string, array<string, mixed>}>
     */
    private function routes(array $command): array
    {
        $to = $command['to'] ?? [];
        [$kind, $name] = is_array($to) ? [array_key_first($to), reset($to)] : [null, null];
        if (is_string($name)) {
            return match ($kind) {
                'client' => [[self::nodeChannel($name), $command]],
                'group' => [["g:$name", $command]],
                'user' => [["u:$name", $command]],
                default => [['all', $command]],
            };
        }
        if ($kind !== 'clients' || !is_array($name)) {
            // A client that is in several of the groups gets a message once, so all is up to each gateway.
            return [['all', $command]];
        }
        $clients = [];
        foreach ($name as $client) {
            $clients[self::nodeChannel((string) $client)][] = (string) $client;
        }
        $routes = [];
        foreach ($clients as $channel => $some) {
            $routes[] = [$channel, ['to' => ['clients' => $some]] + $command];
        }
        return $routes;
    }

    /** An id begins with that of the client's gateway. */
    private static function nodeChannel(string $client): string
    {
        return preg_match('/^([0-9a-f]+)\.[^.]+$/D', $client, $parts) === 1 ? "n:$parts[1]" : 'all';
    }

    /**
     * @param array<string, mixed> $command
     * @throws GatewayError
     */
    private static function encode(array $command): string
    {
        if (!in_array($command['history'] ?? false, [false, 'off'], true)) {
            throw new GatewayError('A message on the bus is in no history: push it with Gateway.');
        }
        try {
            return Command::encode($command);
        } catch (\InvalidArgumentException $error) {
            throw new GatewayError($error->getMessage(), previous: $error);
        }
    }
}
