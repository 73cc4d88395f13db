<?php

declare(strict_types=1);

namespace Phpgw;

use Psr\Http\Message\ServerRequestInterface;

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
