<?php

declare(strict_types=1);

namespace Phpgw;

/**
 * The gateway, for pushing to browsers and asking who is there; from anywhere in PHP, also from cron and queues.
 *
 * A page does not fail because the gateway is away: within moments, commands give a Result that is not ok, and
 * questions are answered as if nobody were connected. To log that, or to have an exception after all, there is
 * $onError; and a single Result has orThrow(). One thing throws a GatewayError: a list that breaks off in the middle,
 * since what came before would pass for all of it.
 */
final class Gateway
{
    public const DEFAULT_URL = 'http://127.0.0.1:8080';

    private const PAGE_SIZE = 1000;

    private readonly string $url;
    private readonly Transport $transport;

    /** @var array<string, string> */
    private readonly array $headers;

    /**
     * @param string $url the gateway's API, "http://host:port" or "unix:/path/to/socket"
     * @param string|null $token what is in its --api-token-file, if there is one
     * @param Transport|null $transport by default ext-curl, waiting 0.3 s for a connection and 2 s for an answer
     * @param (\Closure(GatewayError): mixed)|null $onError called with each failure; it may throw it
     */
    public function __construct(
        string $url = self::DEFAULT_URL,
        #[\SensitiveParameter] ?string $token = null,
        ?Transport $transport = null,
        private readonly ?\Closure $onError = null,
    ) {
        $socket = str_starts_with($url, 'unix:') ? substr($url, 5) : null;
        if ($socket !== null && $transport !== null) {
            throw new \InvalidArgumentException('With a transport of your own, the socket is its business.');
        }
        $this->url = $socket === null ? rtrim($url, '/') : 'http://localhost';
        $this->transport = $transport ?? new CurlTransport(socket: $socket);
        // A file has an end of line, and some editors begin it with a byte order mark.
        $token = trim(preg_replace('/^\xEF\xBB\xBF/', '', $token ?? '') ?? '');
        $this->headers = $token === '' ? [] : ['Authorization' => "Bearer $token"];
    }

    /** As PHPGW_URL and PHPGW_TOKEN say: fastcgi_params, variables of the FPM pool, or of the process. */
    public static function fromEnvironment(): self
    {
        $find = static fn (string $name): ?string => ($_SERVER[$name] ?? getenv($name)) ?: null;
        return new self($find('PHPGW_URL') ?? self::DEFAULT_URL, $find('PHPGW_TOKEN'));
    }

    /** Gathers commands, for one request: $gateway->batch()->sendToGroup(...)->joinGroup(...)->run(). */
    public function batch(): Batch
    {
        return new Batch($this);
    }

    /**
     * Has the gateway run commands that are in its own words, such as ['op' => 'leave', 'to' => ['all' => true],
     * 'group' => 'news'].
     *
     * @param list<array<string, mixed>> $commands
     */
    public function commands(array $commands): Result
    {
        if ($commands === []) {
            return new Result([]);
        }
        try {
            return new Result($this->results($commands));
        } catch (GatewayError $error) {
            $this->report($error);
            return new Result([], $error);
        }
    }

    /** @param string|list<string|int> $client */
    public function sendToClient(string|array $client, string|Binary $message): Result
    {
        return $this->batch()->sendToClient($client, $message)->run();
    }

    /**
     * @param string|int|list<string|int> $group a client in several of them gets the message once
     * @param list<string|int> $except ids of clients that are left out
     * @param string|false|null $history such as "100,5m", false, or null for what --history says
     */
    public function sendToGroup(
        string|int|array $group,
        string|Binary $message,
        array $except = [],
        string|false|null $history = null,
    ): Result {
        return $this->batch()->sendToGroup($group, $message, $except, $history)->run();
    }

    /**
     * Sends to every connection of a user: all tabs, all devices.
     *
     * @param string|int|list<string|int> $user
     * @param list<string|int> $except ids of clients that are left out
     */
    public function sendToUser(string|int|array $user, string|Binary $message, array $except = []): Result
    {
        return $this->batch()->sendToUser($user, $message, $except)->run();
    }

    /** @param list<string|int> $except ids of clients that are left out */
    public function sendToAll(string|Binary $message, array $except = []): Result
    {
        return $this->batch()->sendToAll($message, $except)->run();
    }

    /** @param string|list<string|int> $client */
    public function joinGroup(string|array $client, string|int $group): Result
    {
        return $this->batch()->joinGroup($client, $group)->run();
    }

    /** @param string|list<string|int> $client */
    public function leaveGroup(string|array $client, string|int $group): Result
    {
        return $this->batch()->leaveGroup($client, $group)->run();
    }

    /** @param string|list<string|int> $client */
    public function bindUser(string|array $client, string|int $user): Result
    {
        return $this->batch()->bindUser($client, $user)->run();
    }

    /** @param string|list<string|int> $client */
    public function unbindUser(string|array $client): Result
    {
        return $this->batch()->unbindUser($client)->run();
    }

    /** @param string|list<string|int> $client */
    public function setState(string|array $client, string $state): Result
    {
        return $this->batch()->setState($client, $state)->run();
    }

    /** @param string|list<string|int> $client */
    public function closeClient(string|array $client, int $code = 1000, string $reason = ''): Result
    {
        return $this->batch()->closeClient($client, $code, $reason)->run();
    }

    /** @param string|int|list<string|int> $user */
    public function closeUser(string|int|array $user, int $code = 1000, string $reason = ''): Result
    {
        return $this->batch()->closeUser($user, $code, $reason)->run();
    }

    /** Sends to a server that the gateway is connected to: one of --upstream, or of openUpstream(). */
    public function sendToUpstream(string $name, string|Binary $message): Result
    {
        return $this->batch()->sendToUpstream($name, $message)->run();
    }

    /** Closes the connection to an upstream, and lets it be closed. */
    public function closeUpstream(string $name, int $code = 1000, string $reason = ''): Result
    {
        return $this->batch()->closeUpstream($name, $code, $reason)->run();
    }

    /**
     * Connects to a WebSocket server, which the gateway's --allow-upstream must name.
     *
     * @param array<string, string> $headers more headers of the handshake
     * @param list<string> $subprotocols that are offered, the best first
     */
    public function openUpstream(
        string $name,
        ?string $url = null,
        array $headers = [],
        array $subprotocols = [],
        bool $reconnect = true,
        ?string $latestBy = null,
    ): Result {
        return $this->batch()->openUpstream($name, $url, $headers, $subprotocols, $reconnect, $latestBy)->run();
    }

    /** A client; null if there is none of this id. */
    public function client(string $clientId): ?ClientInfo
    {
        $details = $this->find('/clients/' . rawurlencode($clientId));
        return is_string($details['client_id'] ?? null) ? ClientInfo::from($details) : null;
    }

    public function isOnline(string $clientId): bool
    {
        return $this->client($clientId) !== null;
    }

    public function isUserOnline(string|int $user): bool
    {
        return $this->countClientsOfUser($user) > 0;
    }

    /** @return \Generator<string, ClientInfo> all clients, by id; a page of them is asked for when it is needed */
    public function clients(): \Generator
    {
        return $this->eachClient([]);
    }

    /** @return \Generator<string, ClientInfo> by id */
    public function clientsInGroup(string|int $group): \Generator
    {
        return $this->eachClient(['group' => (string) $group]);
    }

    /** @return \Generator<string, ClientInfo> by id */
    public function clientsOfUser(string|int $user): \Generator
    {
        return $this->eachClient(['user' => (string) $user]);
    }

    /** @return \Generator<string, int> how many clients are in each group that has any, by its name */
    public function groups(): \Generator
    {
        yield from $this->eachCount('groups', 'group');
    }

    /** @return \Generator<string, int> how many clients each user has that has any, by its id */
    public function users(): \Generator
    {
        yield from $this->eachCount('users', 'user');
    }

    public function countClients(): int
    {
        return $this->count('clients');
    }

    public function countClientsInGroup(string|int $group): int
    {
        return $this->count('clients', ['group' => (string) $group]);
    }

    public function countClientsOfUser(string|int $user): int
    {
        return $this->count('clients', ['user' => (string) $user]);
    }

    public function countGroups(): int
    {
        return $this->count('groups');
    }

    public function countUsers(): int
    {
        return $this->count('users');
    }

    /** The last messages to a group that has a history; or, after a position, those behind it, the oldest first. */
    public function history(string|int $group, ?Position $after = null, int $limit = 100): History
    {
        $query = ['limit' => $limit] + ($after === null ? [] : ['after' => $after->offset, 'epoch' => $after->epoch]);
        $path = '/groups/' . rawurlencode((string) $group) . '/history?' . http_build_query($query, '', '&');
        return History::from($this->find($path), $after);
    }

    /**
     * The gateways or workers that are one for PHP; none if the gateway is alone.
     *
     * @return list<array<string, mixed>> each with node, name, clients, rate (messages a second), lease_age (seconds),
     *                                    and problem, which is empty if all is well
     */
    public function nodes(): array
    {
        return $this->find('/nodes')['nodes'];
    }

    /** @return array<string, int> the gateway's counters, by name */
    public function stats(): array
    {
        return $this->find('/stats');
    }

    /**
     * The connection pools of --pool.
     *
     * @return list<array<string, mixed>> each with name, in_use, idle, waiting, problem and more; see docs/pools.rst
     */
    public function pools(): array
    {
        $pools = $this->find('/pools')['pools'] ?? [];
        return is_array($pools) ? array_values(array_filter($pools, is_array(...))) : [];
    }

    /**
     * The last events that PHP failed on, newest first.
     *
     * @return list<array<string, mixed>> each with id, at (seconds since 1970), count, type, client_id, user, problem,
     *                                    why and fix; docs/api.rst describes them
     */
    public function failures(): array
    {
        $failures = $this->find('/failures')['failures'] ?? [];
        return is_array($failures) ? array_values(array_filter($failures, is_array(...))) : [];
    }

    /**
     * @param array<string, string> $query
     * @return \Generator<string, ClientInfo>
     */
    private function eachClient(array $query): \Generator
    {
        foreach ($this->rows('clients', $query) as $details) {
            $client = ClientInfo::from($details);
            yield $client->id => $client;
        }
    }

    /** @return \Generator<string, int> */
    private function eachCount(string $what, string $name): \Generator
    {
        foreach ($this->rows($what) as $row) {
            [$text, $clients] = [$row[$name] ?? '', $row['clients'] ?? 0];
            yield is_string($text) ? $text : '' => is_int($clients) ? $clients : 0;
        }
    }

    /**
     * @param array<string, string> $query
     * @return \Generator<int, array<string, mixed>>
     */
    private function rows(string $what, array $query = []): \Generator
    {
        $isFirst = true;
        do {
            try {
                [$rows, $next] = $this->page($what, $query);
            } catch (GatewayError $error) {
                $this->report($error);
                if (!$isFirst) {
                    throw $error;
                }
                return;
            }
            yield from $rows;
            $query['after'] = $next;
            $isFirst = false;
        } while ($next !== null);
    }

    /** @param array<string, string> $query */
    private function count(string $what, array $query = []): int
    {
        try {
            $total = $this->list($what, $query, 1)['total'] ?? null;
            return is_int($total) ? $total : throw self::odd('there is no total');
        } catch (GatewayError $error) {
            $this->report($error);
            return 0;
        }
    }

    /**
     * @param array<string, string> $query
     * @return array{list<array<string, mixed>>, string|null} rows, and what the next page begins after
     * @throws GatewayError
     */
    private function page(string $what, array $query): array
    {
        $page = $this->list($what, $query, self::PAGE_SIZE);
        [$rows, $next] = [$page[$what] ?? null, $page['next'] ?? null];
        if (!is_array($rows) || array_filter($rows, is_array(...)) !== $rows || !($next === null || is_string($next))) {
            throw self::odd("there are no $what");
        }
        return [array_values($rows), $next];
    }

    /**
     * @param array<string, string> $query
     * @return array<mixed>
     * @throws GatewayError
     */
    private function list(string $what, array $query, int $limit): array
    {
        $query = http_build_query(['limit' => $limit] + $query, '', '&', PHP_QUERY_RFC3986);
        return $this->read($this->request('GET', "/$what?$query"));
    }

    /** @return array<string, mixed> nothing if there is no such thing, or if the gateway is away */
    private function find(string $path): array
    {
        try {
            $answer = $this->request('GET', $path);
            return $answer->status === 404 && isset($answer->data['error']) ? [] : $this->read($answer);
        } catch (GatewayError $error) {
            $this->report($error);
            return [];
        }
    }

    /**
     * @param list<array<string, mixed>> $commands
     * @return list<array{
     *     delivered: int, error?: string, positions?: list<array{group: string, offset: int, epoch: string}>
     * }>
     * @throws GatewayError
     */
    private function results(array $commands): array
    {
        try {
            $body = Command::encode($commands);
        } catch (\InvalidArgumentException $error) {
            throw new GatewayError($error->getMessage(), previous: $error);
        }
        $results = $this->read($this->request('POST', '/commands', $body));
        foreach ($results as $result) {
            if (!is_int($result['delivered'] ?? null)) {
                throw self::odd('there is no number of clients for each command');
            }
        }
        return array_values($results);
    }

    private static function odd(string $problem): GatewayError
    {
        return new GatewayError("This is not what the gateway answers: $problem. Is something else at this address?");
    }

    /** @throws GatewayError */
    private function request(string $method, string $path, string $body = ''): ApiResponse
    {
        $headers = $this->headers + ($body === '' ? [] : ['Content-Type' => 'application/json']);
        return $this->transport->request($method, $this->url . $path, $body, $headers);
    }

    /**
     * @return array<mixed>
     * @throws GatewayError
     */
    private function read(ApiResponse $answer): array
    {
        $data = $answer->data;
        if ($answer->status === 200 && $data !== null) {
            return $data;
        }
        [$error, $index, $field] = [$data['error'] ?? null, $data['index'] ?? null, $data['field'] ?? null];
        throw new GatewayError(
            "{$answer->status} from the gateway: " . (is_string($error) ? $error : trim(substr($answer->body, 0, 200))),
            $answer->status,
            is_int($index) ? $index : null,
            is_string($field) ? $field : null,
        );
    }

    private function report(GatewayError $error): void
    {
        if ($this->onError !== null) {
            ($this->onError)($error);
        }
    }
}
