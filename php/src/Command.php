<?php

declare(strict_types=1);

namespace Phpgw;

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
