<?php

// phpgw's PHP library in one file, for projects without Composer: require_once it. Made by build.php of what is
// in src/: change that. MIT License, Copyright (c) 2026 The phpgw developers; see LICENSE.

declare(strict_types=1);

namespace Phpgw;

use Psr\Http\Client\ClientExceptionInterface;
use Psr\Http\Client\ClientInterface;
use Psr\Http\Message\RequestFactoryInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamFactoryInterface;

/**
 * An answer to an event, as the HTTP response that it becomes.
 *
 * A framework makes its own of it: new Response($reply->body(), $reply->status(), $reply->headers()).
 */
abstract class Answer
{
    abstract public function status(): int;

    /** @return array<string, string> */
    abstract public function headers(): array;

    abstract public function body(): string;

    /**
     * Makes it the response of this script.
     *
     * @throws \LogicException if something was printed before: status and headers cannot be said any more, and the
     *     gateway would take a refusal for a consent, or commands for a text
     */
    final public function emit(): void
    {
        Printed::check();
        http_response_code($this->status());
        foreach ($this->headers() as $name => $value) {
            header("$name: $value");
        }
        echo $this->body();
    }
}

/** The commands about the client whose event is being answered: nobody has to be named. */
trait Answering
{
    /**
     * A command in the gateway's own words; without "to" it is about whose event is being answered.
     *
     * @param array<string, mixed> $command
     */
    abstract public function command(array $command): static;

    /** Sends it one more message. */
    public function send(string|Binary $message): static
    {
        return $this->command(Command::send(null, $message));
    }

    public function join(string|int $group): static
    {
        return $this->command(['op' => 'join', 'group' => (string) $group]);
    }

    public function leave(string|int $group): static
    {
        return $this->command(['op' => 'leave', 'group' => (string) $group]);
    }

    /** Makes it this user's. */
    public function bind(string|int $user): static
    {
        return $this->command(['op' => 'bind', 'user' => (string) $user]);
    }

    public function unbind(): static
    {
        return $this->command(['op' => 'unbind']);
    }

    /** Sets the text that comes with every later event of it, as Event::$state. */
    public function state(string $state): static
    {
        return $this->command(['op' => 'state', 'state' => $state]);
    }

    /**
     * @param int $code 1000 to 1003, 1007 to 1014, or your own from 4000 to 4999
     * @param string $reason of which 123 bytes are sent
     */
    public function close(int $code = 1000, string $reason = ''): static
    {
        return $this->command(['op' => 'close', 'code' => $code, 'reason' => $reason]);
    }
}

/** What the gateway's API has answered. */
final class ApiResponse
{
    /** @var array<mixed>|null what the body says in JSON; null if it is none */
    public readonly ?array $data;

    public function __construct(public readonly int $status, public readonly string $body)
    {
        $data = json_decode($body, true);
        $this->data = is_array($data) ? $data : null;
    }
}

/** A message that is sent as a binary frame: a Blob or an ArrayBuffer in the browser. */
final class Binary
{
    public function __construct(public readonly string $bytes)
    {
    }
}

/** A connected client as the gateway knows it. */
final class ClientInfo
{
    /**
     * @param string|null $user whose it is, if it has been bound
     * @param list<string> $groups
     * @param string|null $state what setState() has set
     * @param array<string, mixed> $details all that the gateway tells, such as address, connected_at and user_agent
     */
    public function __construct(
        public readonly string $id,
        public readonly ?string $user,
        public readonly array $groups,
        public readonly ?string $state,
        public readonly array $details,
    ) {
    }

    /**
     * @param array<string, mixed> $details
     * @internal
     */
    public static function from(array $details): self
    {
        $text = static fn (string $name): ?string => is_string($details[$name] ?? null) ? $details[$name] : null;
        $groups = is_array($details['groups'] ?? null) ? $details['groups'] : [];
        return new self(
            $text('client_id') ?? '',
            $text('user'),
            array_values(array_filter($groups, is_string(...))),
            $text('state'),
            $details,
        );
    }
}

/**
 * The parts that commands are made of, and their JSON.
 *
 * @internal
 */
final class Command
{
    private const JSON = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES;

    /**
     * @param array<string, mixed>|null $to null: whose event is being answered
     * @param list<string|int> $except
     * @return array<string, mixed>
     */
    public static function send(
        ?array $to,
        string|Binary $message,
        array $except = [],
        string|false|null $history = null,
    ): array {
        $command = ['op' => 'send'];
        if ($to !== null) {
            $command['to'] = $to;
        }
        if ($message instanceof Binary) {
            $command['data'] = base64_encode($message->bytes);
        } else {
            $command['message'] = $message;
        }
        if ($except !== []) {
            $command['except'] = self::names($except);
        }
        if ($history !== null) {
            $command['history'] = $history;
        }
        return $command;
    }

    /**
     * @param string $kind client, group or user
     * @param string|int|array<string|int> $names
     * @return array<string, string|list<string>>
     */
    public static function to(string $kind, string|int|array $names): array
    {
        return is_array($names) ? ["{$kind}s" => self::names($names)] : [$kind => (string) $names];
    }

    /**
     * @param array<mixed> $value a command, or a list of them
     * @throws \InvalidArgumentException where a text is not UTF-8
     */
    public static function encode(array $value): string
    {
        try {
            return json_encode($value, self::JSON);
        } catch (\JsonException $error) {
            $advice = $error->getCode() === JSON_ERROR_UTF8
                ? 'texts must be UTF-8; send other bytes as new Phpgw\Binary($bytes)'
                : $error->getMessage();
            throw new \InvalidArgumentException("These commands cannot be sent: $advice.", 0, $error);
        }
    }

    /**
     * Names that were keys of an array are integers where they look like one.
     *
     * @param array<string|int> $names
     * @return list<string>
     */
    private static function names(array $names): array
    {
        return array_values(array_map(strval(...), $names));
    }
}

/**
 * The commands that name whom they are for; what is done with each is the class's own.
 *
 * Where a client, a group or a user is asked for, a list of them does as well. A client that is in several of the
 * groups gets a message once. "except" lists ids of clients that are left out.
 */
trait Commanding
{
    /**
     * A command in the gateway's own words, such as ['op' => 'join', 'to' => ['user' => '42'], 'group' => 'news'].
     *
     * @param array<string, mixed> $command
     */
    abstract public function command(array $command): static;

    /** @param string|list<string|int> $client */
    public function sendToClient(string|array $client, string|Binary $message): static
    {
        return $this->command(Command::send(Command::to('client', $client), $message));
    }

    /**
     * @param string|int|list<string|int> $group
     * @param list<string|int> $except
     * @param string|false|null $history how many messages of the group are kept, and for how long, such as "100,5m";
     *     false to keep this one out; null for what the gateway's --history says
     */
    public function sendToGroup(
        string|int|array $group,
        string|Binary $message,
        array $except = [],
        string|false|null $history = null,
    ): static {
        return $this->command(Command::send(Command::to('group', $group), $message, $except, $history));
    }

    /**
     * Sends to every connection of a user: all tabs, all devices.
     *
     * @param string|int|list<string|int> $user
     * @param list<string|int> $except
     */
    public function sendToUser(string|int|array $user, string|Binary $message, array $except = []): static
    {
        return $this->command(Command::send(Command::to('user', $user), $message, $except));
    }

    /** @param list<string|int> $except */
    public function sendToAll(string|Binary $message, array $except = []): static
    {
        return $this->command(Command::send(['all' => true], $message, $except));
    }

    /** @param string|list<string|int> $client */
    public function joinGroup(string|array $client, string|int $group): static
    {
        return $this->command(['op' => 'join', 'to' => Command::to('client', $client), 'group' => (string) $group]);
    }

    /** @param string|list<string|int> $client */
    public function leaveGroup(string|array $client, string|int $group): static
    {
        return $this->command(['op' => 'leave', 'to' => Command::to('client', $client), 'group' => (string) $group]);
    }

    /**
     * Makes a client a user's; it was another's no more.
     *
     * @param string|list<string|int> $client
     */
    public function bindUser(string|array $client, string|int $user): static
    {
        return $this->command(['op' => 'bind', 'to' => Command::to('client', $client), 'user' => (string) $user]);
    }

    /** @param string|list<string|int> $client */
    public function unbindUser(string|array $client): static
    {
        return $this->command(['op' => 'unbind', 'to' => Command::to('client', $client)]);
    }

    /**
     * Sets the text that comes with every later event of a client.
     *
     * @param string|list<string|int> $client
     */
    public function setState(string|array $client, string $state): static
    {
        return $this->command(['op' => 'state', 'to' => Command::to('client', $client), 'state' => $state]);
    }

    /**
     * @param string|list<string|int> $client
     * @param int $code 1000 to 1003, 1007 to 1014, or your own from 4000 to 4999
     * @param string $reason of which 123 bytes are sent
     */
    public function closeClient(string|array $client, int $code = 1000, string $reason = ''): static
    {
        $to = Command::to('client', $client);
        return $this->command(['op' => 'close', 'to' => $to, 'code' => $code, 'reason' => $reason]);
    }

    /**
     * Closes every connection of a user; code and reason as with closeClient().
     *
     * @param string|int|list<string|int> $user
     */
    public function closeUser(string|int|array $user, int $code = 1000, string $reason = ''): static
    {
        $to = Command::to('user', $user);
        return $this->command(['op' => 'close', 'to' => $to, 'code' => $code, 'reason' => $reason]);
    }

    /** Sends to a server that the gateway is connected to: one of --upstream, or of openUpstream(). */
    public function sendToUpstream(string $name, string|Binary $message): static
    {
        return $this->command(Command::send(['upstream' => $name], $message));
    }

    /** Closes the connection to an upstream, and lets it be closed; code and reason as with closeClient(). */
    public function closeUpstream(string $name, int $code = 1000, string $reason = ''): static
    {
        return $this->command(['op' => 'close', 'to' => ['upstream' => $name], 'code' => $code, 'reason' => $reason]);
    }

    /**
     * Connects to a WebSocket server, which the gateway's --allow-upstream must name.
     *
     * @param string|null $url like wss://HOST/PATH; null to open one of --upstream again
     * @param array<string, string> $headers more headers of the handshake
     * @param list<string> $subprotocols that are offered, the best first
     * @param bool $reconnect whether it is connected to again when the connection has ended
     * @param string|null $latestBy a JSON pointer, like /symbol: of the messages with the same value there, only the
     *     newest waits for PHP; null to keep all
     */
    public function openUpstream(
        string $name,
        ?string $url = null,
        array $headers = [],
        array $subprotocols = [],
        bool $reconnect = true,
        ?string $latestBy = null,
    ): static {
        $command = ['op' => 'open', 'name' => $name, 'url' => $url, 'reconnect' => $reconnect];
        if ($headers !== []) {
            $command['headers'] = $headers;
        }
        if ($subprotocols !== []) {
            $command['subprotocols'] = array_values($subprotocols);
        }
        if ($latestBy !== null) {
            $command += ['keep' => 'latest', 'key' => $latestBy];
        }
        return $this->command($command);
    }
}

/**
 * What the gateway tells PHP: a message, a connection that begins or ends, a timer, or an upstream.
 *
 * All of it is taken from the request's body, which is what a signature covers; save for $id, $isBinary and
 * $isCrossOrigin.
 */
final class Event
{
    private const WHITE_SPACE = " \t\n\r\v\f";

    /**
     * @param string $type server (a message from a client), connect, disconnect, timer, upstream or check
     * @param string $message the payload; on disconnect the reason; on timer the timer's name
     * @param string $clientId empty on timer, upstream and check
     * @param string|null $user whose the client is, if it has been bound
     * @param string|null $state what PHP has set for this client
     * @param bool $isBinary whether the message came as a binary one
     * @param int|null $code on disconnect, and on the close of an upstream, how: 1005 if no code was given, 1006 if it vanished
     * @param bool $isCrossOrigin whether a page of another site has connected, without its visitor's cookies
     * @param string $id the id of the event, which the gateway's log has, too
     * @param string|null $upstream on upstream its name
     * @param string|null $upstreamEvent on upstream what has happened: open, message or close
     * @param array<string, string> $details on upstream what else is said: attempt, subprotocol, dropped, fence
     */
    private function __construct(
        public readonly string $type,
        public readonly string $message,
        public readonly string $clientId,
        public readonly ?string $user,
        public readonly ?string $state,
        public readonly bool $isBinary,
        public readonly ?int $code,
        public readonly bool $isCrossOrigin,
        public readonly string $id,
        public readonly ?string $upstream,
        public readonly ?string $upstreamEvent,
        public readonly array $details,
    ) {
    }

    /**
     * The event that this request is. One of phpgw check is answered here, and the script ends.
     *
     * @param string|null $secret what is in the gateway's --secret-file; null to trust whoever can reach the script
     * @param int $tolerance seconds that a signature is good for
     * @throws SignatureInvalid if it was not signed with the secret, just now
     * @throws EventInvalid if it is no event
     */
    public static function fromGlobals(#[\SensitiveParameter] ?string $secret = null, int $tolerance = 300): self
    {
        $event = self::from((string) file_get_contents('php://input'), $_SERVER, $secret, $tolerance);
        if ($event->isCheck()) {
            // Without emit(): what was printed before is to be seen.
            exit(Reply::check()->body());
        }
        return $event;
    }

    /**
     * The same with a PSR-7 request.
     *
     * @throws SignatureInvalid
     * @throws EventInvalid
     */
    public static function fromPsr7(
        ServerRequestInterface $request,
        #[\SensitiveParameter] ?string $secret = null,
        int $tolerance = 300,
    ): self {
        $server = [];
        foreach (['Event-Id', 'Message-Type', 'Cross-Origin', 'Timestamp', 'Signature'] as $name) {
            $server['HTTP_PHPGW_' . strtr(strtoupper($name), '-', '_')] = $request->getHeaderLine("Phpgw-$name");
        }
        return self::from((string) $request->getBody(), $server, $secret, $tolerance);
    }

    /**
     * The same with the parts of a request, which any framework can give:
     * Event::from($request->getContent(), $request->server->all()) in Symfony and Laravel.
     *
     * @param string $body as it came
     * @param array<string, mixed> $server what is in $_SERVER
     * @throws SignatureInvalid
     * @throws EventInvalid
     */
    public static function from(
        string $body,
        array $server,
        #[\SensitiveParameter] ?string $secret = null,
        int $tolerance = 300,
    ): self {
        if ($secret !== null) {
            // A file has an end of line, and some editors begin it with a byte order mark.
            $secret = preg_replace('/^\xEF\xBB\xBF/', '', $secret) ?? $secret;
            self::verify($body, $server, trim($secret, self::WHITE_SPACE), $tolerance);
        }
        $fields = self::parse($body);
        foreach (['type', 'message', 'client_id'] as $name) {
            if (!isset($fields[$name])) {
                throw new EventInvalid("This is no event of the gateway: it has no field $name.");
            }
        }
        return new self(
            $fields['type'],
            $fields['message'],
            $fields['client_id'],
            $fields['user'] ?? null,
            $fields['state'] ?? null,
            ($server['HTTP_PHPGW_MESSAGE_TYPE'] ?? '') === 'binary',
            isset($fields['code']) ? (int) $fields['code'] : null,
            ($server['HTTP_PHPGW_CROSS_ORIGIN'] ?? '') === '1',
            (string) ($server['HTTP_PHPGW_EVENT_ID'] ?? ''),
            $fields['upstream'] ?? null,
            $fields['event'] ?? null,
            array_intersect_key($fields, ['attempt' => 0, 'subprotocol' => 0, 'dropped' => 0, 'fence' => 0]),
        );
    }

    public function isMessage(): bool
    {
        return $this->type === 'server';
    }

    /** Asked before the handshake is answered; Reply::refuse() refuses it. */
    public function isConnect(): bool
    {
        return $this->type === 'connect';
    }

    public function isDisconnect(): bool
    {
        return $this->type === 'disconnect';
    }

    /** Sent by phpgw check, to find out whether PHP is there; Reply::check() tells it PHP's settings. */
    public function isCheck(): bool
    {
        return $this->type === 'check';
    }

    /** @param string|null $name whether it is this timer */
    public function isTimer(?string $name = null): bool
    {
        return $this->type === 'timer' && ($name === null || $this->message === $name);
    }

    /**
     * @param string|null $name whether it is of this upstream
     * @param string|null $event whether it is this event: open, message or close
     */
    public function isUpstream(?string $name = null, ?string $event = null): bool
    {
        return $this->type === 'upstream'
            && ($name === null || $this->upstream === $name)
            && ($event === null || $this->upstreamEvent === $event);
    }

    /** @param array<string, mixed> $server */
    private static function verify(string $body, array $server, string $secret, int $tolerance): void
    {
        if ($secret === '') {
            throw new \InvalidArgumentException('The secret is empty: anybody could sign with it.');
        }
        $time = (string) ($server['HTTP_PHPGW_TIMESTAMP'] ?? '');
        $signature = (string) ($server['HTTP_PHPGW_SIGNATURE'] ?? '');
        if ($time === '' || $signature === '') {
            throw new SignatureInvalid('The event is not signed: does the gateway have --secret-file?');
        }
        if (!hash_equals('sha256=' . hash_hmac('sha256', "$time.$body", $secret), $signature)) {
            throw new SignatureInvalid('The event was signed with another secret, or altered.');
        }
        if (preg_match('~^\d{1,12}$~D', $time) !== 1 || abs(time() - (int) $time) > $tolerance) {
            throw new SignatureInvalid("The signature is not of the last $tolerance seconds; are the clocks right?");
        }
    }

    /**
     * A form's fields. Neither $_POST nor parse_str(), since php.ini has a say in both and a framework's
     * middleware in the former: what is read here is what was signed, to the byte.
     *
     * @return array<string>
     */
    private static function parse(string $body): array
    {
        $fields = [];
        foreach (explode('&', $body) as $pair) {
            [$name, $value] = explode('=', $pair, 2) + [1 => ''];
            $fields[urldecode($name)] = urldecode($value);
        }
        return $fields;
    }
}

/** A request that is no event of the gateway. Its code is the HTTP status to answer with. */
class EventInvalid extends \RuntimeException
{
    public function __construct(string $message, int $status = 400)
    {
        parent::__construct($message, $status);
    }
}

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

/** The gateway could not be reached, or would not do it. */
final class GatewayError extends \RuntimeException
{
    /**
     * @param int $status the HTTP status of its answer, 0 if there was none
     * @param int|null $index which command of a batch is wrong, from 0
     * @param string|null $field the field of that command, such as "to.group"
     */
    public function __construct(
        string $message,
        public readonly int $status = 0,
        public readonly ?int $index = null,
        public readonly ?string $field = null,
        ?\Throwable $previous = null,
    ) {
        parent::__construct($message, $status, $previous);
    }
}

/** Messages that were sent to a group, in order. */
final class History
{
    /**
     * @param list<string|Binary> $messages
     * @param bool $hasGap whether messages before these are missing, or may be: show all anew
     * @param bool $hasMore whether there are more messages behind these
     * @param Position|null $position where to read on; null if the gateway is away, and there was none before
     */
    public function __construct(
        public readonly array $messages,
        public readonly bool $hasGap,
        public readonly bool $hasMore,
        public readonly ?Position $position,
    ) {
    }

    /**
     * @param array<string, mixed> $page what the gateway tells; nothing if it is away
     * @param Position|null $after which was asked for
     * @internal
     */
    public static function from(array $page, ?Position $after): self
    {
        [$offset, $epoch] = [$page['offset'] ?? null, $page['epoch'] ?? null];
        if (!is_int($offset) || !is_string($epoch) || !is_array($page['messages'] ?? null)) {
            // Nobody knows what has been missed.
            return new self([], $after !== null, false, $after);
        }
        $messages = [];
        foreach ($page['messages'] as $each) {
            [$text, $data] = [$each['message'] ?? null, $each['data'] ?? null];
            if (is_string($text)) {
                $messages[] = $text;
            } elseif (is_string($data)) {
                $messages[] = new Binary((string) base64_decode($data, true));
            }
        }
        return new self(
            $messages,
            ($page['gap'] ?? true) !== false,
            ($page['more'] ?? false) === true,
            new Position($offset, $epoch),
        );
    }
}

/** A place in the history of a group: behind the message with this offset. As a text, it can be kept anywhere. */
final class Position
{
    /**
     * @param int $offset how many messages the group has had in this epoch
     * @param string $epoch a new one where messages may have been lost without a trace, such as after a restart
     */
    public function __construct(public readonly int $offset, public readonly string $epoch)
    {
    }

    /** Reads what was a position as a text once; null if it is none. */
    public static function fromText(string $text): ?self
    {
        $isPosition = preg_match('/^([0-9]{1,15})-([^\x00-\x20]{1,64})$/D', $text, $parts) === 1;
        return $isPosition ? new self((int) $parts[1], $parts[2]) : null;
    }

    public function __toString(): string
    {
        return "$this->offset-$this->epoch";
    }
}

/**
 * What was printed before the answer, so that PHP cannot send the answer's status and headers any more.
 *
 * @internal
 */
final class Printed
{
    /**
     * @param array<string, string> $sent headers that are as good: a framework has sent them itself
     * @throws \LogicException if there is something
     */
    public static function check(array $sent = []): void
    {
        if (!headers_sent($file, $line)) {
            return;
        }
        foreach ($sent as $name => $value) {
            if (in_array(strtolower("$name: $value"), array_map(strtolower(...), headers_list()), true)) {
                return;
            }
        }
        throw new \LogicException(
            "Something was printed before the answer, in $file on line $line, so its status and headers are lost. Is "
            . 'there a blank line or a byte order mark before <?php?',
        );
    }
}

/** What became of commands on the bus. */
final class Published
{
    /** Whether they were published. */
    public readonly bool $ok;

    /** Why not, for a log. */
    public readonly ?string $error;

    /**
     * @param list<int> $nodes how many gateways have received each command; 0 for one that nobody is there for
     */
    public function __construct(public readonly array $nodes, private readonly ?GatewayError $failure = null)
    {
        $this->ok = $failure === null;
        $this->error = $failure?->getMessage();
    }

    /** @throws GatewayError if they were not published */
    public function orThrow(): self
    {
        return $this->failure === null ? $this : throw $this->failure;
    }
}

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

/** What became of commands. */
final class Result
{
    /** Whether the gateway has run them. That a client is gone by now is no failure: see $delivered. */
    public readonly bool $ok;

    /** Why it has not, for a log. */
    public readonly ?string $error;

    /** How many clients they have reached, all commands added up. */
    public readonly int $delivered;

    /**
     * @param list<array{
     *     delivered: int, error?: string, positions?: list<array{group: string, offset: int, epoch: string}>
     * }> $results one for each command, in order; none if it failed
     */
    public function __construct(public readonly array $results, private readonly ?GatewayError $failure = null)
    {
        $this->ok = $failure === null;
        $this->error = $failure?->getMessage();
        $sum = array_sum(array_column($results, 'delivered'));
        $this->delivered = is_int($sum) ? $sum : PHP_INT_MAX;
    }

    /** Where the last message to a group is in its history; null if it has none. */
    public function position(string|int $group): ?Position
    {
        foreach (array_reverse($this->results) as $result) {
            foreach ($result['positions'] ?? [] as $each) {
                if ($each['group'] === (string) $group) {
                    return new Position($each['offset'], $each['epoch']);
                }
            }
        }
        return null;
    }

    /** @throws GatewayError if the gateway has not run them */
    public function orThrow(): self
    {
        return $this->failure === null ? $this : throw $this->failure;
    }
}

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

/**
 * Commands that go to the gateway in one request, from Gateway::batch().
 *
 * The gateway checks them all before it runs the first: where one is wrong, none has run.
 */
final class Batch
{
    use Commanding;

    /** @var list<array<string, mixed>> */
    private array $commands = [];

    public function __construct(private readonly Gateway $gateway)
    {
    }

    public function command(array $command): static
    {
        $this->commands[] = $command;
        return $this;
    }

    /** Has the gateway run them, in order; the batch is empty then, and can be filled anew. */
    public function run(): Result
    {
        [$commands, $this->commands] = [$this->commands, []];
        return $this->gateway->commands($commands);
    }
}

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

/** PHP's settings, for phpgw check; from Reply::check(). */
final class CheckAnswer extends Answer
{
    private const SETTINGS = [
        'post_max_size',
        'enable_post_data_reading',
        'display_errors',
        'output_buffering',
        'zlib.output_compression',
        'max_execution_time',
    ];

    public function status(): int
    {
        return 200;
    }

    public function headers(): array
    {
        return ['Content-Type' => 'application/json'];
    }

    public function body(): string
    {
        $ini = array_map(static fn (string $name): string => (string) ini_get($name), self::SETTINGS);
        return (string) json_encode(['phpgw_check' => ['ini' => array_combine(self::SETTINGS, $ini)]]);
    }
}

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

/** With ext-redis, over a connection of the application's: also with TLS or Sentinel, or a persistent one. */
final class PhpRedisPublisher implements Publisher
{
    public function __construct(private readonly \Redis $redis)
    {
    }

    public function publish(array $frames): array
    {
        try {
            $pipeline = $this->redis->multi(\Redis::PIPELINE);
            foreach ($frames as [$channel, $message]) {
                // Not publish(), which puts the connection's prefix before the channel.
                $pipeline->rawCommand('PUBLISH', $channel, $message);
            }
            $counts = $pipeline->exec();
        } catch (\RedisException $error) {
            throw new GatewayError('Redis: ' . $error->getMessage(), previous: $error);
        }
        if (!is_array($counts) || array_filter($counts, is_int(...)) !== $counts) {
            throw new GatewayError('Redis: ' . ($this->redis->getLastError() ?? 'no number of gateways'));
        }
        return array_values($counts);
    }
}

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

/** A handshake that is refused, from Reply::refuse(). */
final class Refusal extends Answer
{
    /** @param int $status from 400 to 499: anything else would not reach the browser */
    public function __construct(private readonly int $status, private readonly string $text)
    {
        if ($status < 400 || $status > 499) {
            throw new \InvalidArgumentException("A handshake is refused with a status from 400 to 499, not $status.");
        }
    }

    public function status(): int
    {
        return $this->status;
    }

    public function headers(): array
    {
        return ['Content-Type' => 'text/plain; charset=utf-8'];
    }

    public function body(): string
    {
        return $this->text;
    }
}

/**
 * What is done about an event: Reply::text('welcome')->join('lobby')->emit().
 *
 * The short words, such as join(), are about whose event it is; the long ones, such as joinGroup(), about others.
 */
final class Reply extends Answer
{
    use Answering;
    use Commanding;

    /** @var list<array<string, mixed>> */
    private array $commands = [];

    private ?string $subprotocol = null;

    private function __construct()
    {
    }

    /** A text message to whose event it is. */
    public static function text(string $text): self
    {
        return (new self())->send($text);
    }

    /** A binary message to whose event it is. */
    public static function binary(string $bytes): self
    {
        return (new self())->send(new Binary($bytes));
    }

    /** No message; though things may be done: Reply::nothing()->leave('lobby'). */
    public static function nothing(): self
    {
        return new self();
    }

    /** On connect: the browser gets this in place of a connection. Its status is from 400 to 499. */
    public static function refuse(int $status = 403, string $text = ''): Refusal
    {
        return new Refusal($status, $text);
    }

    /** A reply that is sent while it is being made. The response has begun then. */
    public static function stream(): Stream
    {
        return new Stream();
    }

    /** On check: PHP's settings. Event::fromGlobals() does this by itself. */
    public static function check(): CheckAnswer
    {
        return new CheckAnswer();
    }

    public function command(array $command): static
    {
        $this->commands[] = $command;
        return $this;
    }

    /** On connect: which of the protocols that the browser offers is spoken. */
    public function subprotocol(string $name): self
    {
        $this->subprotocol = $name;
        return $this;
    }

    /** @return list<array<string, mixed>> in the gateway's own words, for tests */
    public function commands(): array
    {
        return $this->commands;
    }

    public function status(): int
    {
        return $this->commands === [] ? 204 : 200;
    }

    public function headers(): array
    {
        $headers = $this->commands === [] ? [] : ['Content-Type' => 'application/vnd.phpgw+json'];
        if ($this->subprotocol !== null) {
            $headers['Sec-WebSocket-Protocol'] = $this->subprotocol;
        }
        return $headers;
    }

    public function body(): string
    {
        return $this->commands === [] ? '' : Command::encode($this->commands);
    }
}

/** An event that cannot have come from the gateway: not signed, not with this secret, or not just now. */
final class SignatureInvalid extends EventInvalid
{
    public function __construct(string $message)
    {
        parent::__construct($message, 403);
    }
}

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

/**
 * A reply that is sent while it is being made, from Reply::stream(): each command is run as soon as it is written.
 *
 * Call session_write_close() first, or the user's pages wait for the end of it.
 */
final class Stream
{
    use Answering;
    use Commanding;

    /** For a framework's streamed response. */
    public const HEADERS = ['Content-Type' => 'application/x-ndjson', 'X-Accel-Buffering' => 'no'];

    /** @throws \LogicException if something was printed before, so that nobody would know it for commands */
    public function __construct()
    {
        Printed::check(['Content-Type' => self::HEADERS['Content-Type']]);
        if (!headers_sent()) {
            ini_set('zlib.output_compression', '0');
            foreach (self::HEADERS as $name => $value) {
                header("$name: $value");
            }
        }
        while (ob_get_level() > 0 && @ob_end_flush()) { // false, with a notice, for one that may not be removed
            continue;
        }
    }

    public function command(array $command): static
    {
        echo Command::encode($command), "\n";
        flush();
        return $this;
    }
}
