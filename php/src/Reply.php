<?php

declare(strict_types=1);

namespace Phpgw;

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
