<?php

// What was said last. PHP forgets everything between two requests, so it is in a file, one for each room.

declare(strict_types=1);

final class History
{
    private const MOST = 50;

    private readonly string $path;

    public function __construct(string $room)
    {
        $this->path = sys_get_temp_dir() . '/chat-' . sha1($room) . '.json';
    }

    /** @return list<array<string, mixed>> oldest first */
    public function messages(): array
    {
        $file = @fopen($this->path, 'r');
        if ($file === false) {
            return []; // nobody has said anything yet
        }
        flock($file, LOCK_SH); // not while somebody writes; fclose() gives it back
        $messages = self::read($file);
        fclose($file);
        return $messages;
    }

    /**
     * @param array{id: string, name: string} $from
     * @param string $ref the page's own name for it: a page whose connection broke off says again what it saw no
     *     answer to, and must not be heard twice
     * @return array<string, mixed> the message as it is sent to the room
     */
    public function add(array $from, string $text, string $ref): array
    {
        $file = fopen($this->path, 'c+');
        flock($file, LOCK_EX);
        $messages = self::read($file);
        foreach ($messages as $message) {
            if ($message['ref'] === $ref && $message['from']['id'] === $from['id']) {
                return $message;
            }
        }
        // Milliseconds, each given out once: so the page can go by it, in whichever order messages arrive.
        $time = max((int) (microtime(true) * 1000), 1 + (end($messages)['time'] ?? 0));
        $message = ['time' => $time, 'from' => $from, 'text' => $text, 'ref' => $ref];
        ftruncate($file, 0);
        rewind($file);
        fwrite($file, json_encode(array_slice([...$messages, $message], -self::MOST), JSON_THROW_ON_ERROR));
        fclose($file);
        return $message;
    }

    /** @param resource $file */
    private static function read($file): array
    {
        return json_decode(stream_get_contents($file), true) ?? [];
    }
}
