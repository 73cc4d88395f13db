<?php

declare(strict_types=1);

namespace Phpgw;

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
