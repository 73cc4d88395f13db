<?php

// Who is in the room and what was said last. PHP forgets everything between two requests, so this lives in a file.

declare(strict_types=1);

final class Room
{
    private const MOST_MEMBERS = 200;
    private const MOST_HISTORY = 20;
    private const SILENT_SECONDS = 90; // the page pings every 20 s, at worst every 60 s from a hidden tab

    /**
     * One entry for each connection. The id is what the others see: client_id is an address, and stays here.
     * Two connections with one id are one person (a tab and its duplicate, or a reload before the old one is missed).
     *
     * @var array<array-key, array{id: string, name: string, seen: int}> by client_id
     */
    private array $members = [];

    /** @var list<array<string, mixed>> the last messages, oldest first */
    private array $history = [];

    /** The last moment given out: milliseconds, each used once, so that it orders and identifies as well. */
    private int $time = 0;

    /**
     * Runs $work on the room while nobody else is in it, saves the room, and returns what $work returned.
     *
     * @template T
     * @param callable(Room): T $work
     * @return T
     */
    public static function enter(callable $work): mixed
    {
        $directory = $_SERVER['CHAT_DATA'] ?? (getenv('CHAT_DATA') ?: sys_get_temp_dir() . '/phpgw-chat-' . posix_geteuid());
        if (!is_dir($directory) && !@mkdir($directory, 0700, true) && !is_dir($directory)) {
            throw new RuntimeException("cannot make the directory $directory");
        }
        $file = fopen("$directory/room.json", 'c+');
        if ($file === false || !flock($file, LOCK_EX)) {
            throw new RuntimeException("cannot open and lock $directory/room.json");
        }
        try {
            $room = new self();
            $saved = json_decode((string) stream_get_contents($file), true);
            if (is_array($saved)) { // else new, or broken off while it was written: an empty room then
                ['members' => $room->members, 'history' => $room->history, 'time' => $room->time] = $saved;
            }
            $result = $work($room);
            $saved = json_encode(get_object_vars($room), JSON_THROW_ON_ERROR);
            ftruncate($file, 0);
            rewind($file);
            fwrite($file, $saved);
            return $result;
        } finally {
            fclose($file); // gives the lock back, too
        }
    }

    /** The next moment of this room. */
    public function now(): int
    {
        return $this->time = max($this->time + 1, (int) (microtime(true) * 1000));
    }

    /** @return list<string> every connection in the room */
    public function clients(): array
    {
        return array_map(strval(...), array_keys($this->members));
    }

    /** @return list<array{id: string, name: string}> every person in the room, in the order of their coming */
    public function people(): array
    {
        $people = [];
        foreach ($this->members as ['id' => $id, 'name' => $name]) {
            $people[$id] ??= ['id' => (string) $id, 'name' => $name];
        }
        return array_values($people);
    }

    /** @return list<array<string, mixed>> */
    public function history(): array
    {
        return $this->history;
    }

    public function isFull(): bool
    {
        return count($this->members) >= self::MOST_MEMBERS;
    }

    public function has(string $client): bool
    {
        return isset($this->members[$client]);
    }

    /** Notes that this connection lives. */
    public function heard(string $client): void
    {
        if ($this->has($client)) {
            $this->members[$client]['seen'] = time();
        }
    }

    /** @return list<string> the connections that have not been heard of for too long */
    public function silent(): array
    {
        $since = time() - self::SILENT_SECONDS;
        return array_values(array_filter(
            $this->clients(),
            fn (string $client): bool => $this->members[$client]['seen'] < $since,
        ));
    }

    // What happens in the room. Each returns the news of it: events for everybody, the one who did it included.

    /**
     * To join once more under another name is to be renamed.
     *
     * @return list<array<string, mixed>>
     */
    public function join(string $client, string $id, string $name): array
    {
        $was = array_column($this->people(), 'name', 'id')[$id] ?? null;
        $this->members[$client] = ['id' => $id, 'name' => $name, 'seen' => time()];
        foreach ($this->members as $other => $member) {
            if ($member['id'] === $id) {
                $this->members[$other]['name'] = $name;
            }
        }
        return match ($was) {
            $name => [],
            null => [$this->change('joined', $id, $name)],
            default => [$this->change('renamed', $id, $name) + ['was' => $was]],
        };
    }

    /**
     * A page that lost its connection says again what it saw no answer to; the ref tells that it was heard before.
     *
     * @return list<array<string, mixed>>
     */
    public function say(string $client, string $text, string $ref): array
    {
        ['id' => $id, 'name' => $name] = $this->members[$client];
        foreach ($this->history as $said) {
            if ($said['id'] === $id && $said['ref'] === $ref) {
                return [$said];
            }
        }
        $said = ['event' => 'said', 'time' => $this->now(), ...compact('id', 'name', 'text', 'ref')];
        $this->history = array_slice([...$this->history, $said], -self::MOST_HISTORY);
        return [$said];
    }

    /**
     * @param list<string> $clients
     * @return list<array<string, mixed>>
     */
    public function remove(array $clients): array
    {
        $before = array_column($this->people(), 'name', 'id');
        foreach ($clients as $client) {
            unset($this->members[$client]);
        }
        $left = array_diff_key($before, array_column($this->people(), 'name', 'id'));
        $news = [];
        foreach ($left as $id => $name) {
            $news[] = $this->change('left', (string) $id, $name);
        }
        return $news;
    }

    /** @return array<string, mixed> */
    private function change(string $event, string $id, string $name): array
    {
        return ['event' => $event, 'time' => $this->now(), ...compact('id', 'name'), 'people' => $this->people()];
    }
}
