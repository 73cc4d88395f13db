<?php

declare(strict_types=1);

namespace Phpgw;

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
