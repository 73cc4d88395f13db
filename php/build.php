<?php

// Makes phpgw.php, the whole library in one file, of what is in src/. Prints it; or with --write, writes it.

declare(strict_types=1);

namespace Phpgw\Build;

/**
 * Sources by class name.
 *
 * @return array<string, string>
 */
function sources(): array
{
    $sources = [];
    foreach (glob(__DIR__ . '/src/*.php') ?: [] as $path) {
        $sources[basename($path, '.php')] = (string) file_get_contents($path);
    }
    return $sources;
}

/**
 * The same, each after those that have to be declared before it.
 *
 * @param array<string, string> $sources
 * @return array<string, string>
 */
function ordered(array $sources): array
{
    $ordered = [];
    while ($sources !== []) {
        $ready = array_filter($sources, static fn (string $source): bool => !needs($source, $sources));
        if ($ready === []) {
            throw new \LogicException('These need each other: ' . implode(', ', array_keys($sources)));
        }
        $ordered += $ready;
        $sources = array_diff_key($sources, $ready);
    }
    return $ordered;
}

/** @param array<string, string> $others */
function needs(string $source, array $others): bool
{
    preg_match_all('~(?: extends | implements |^    use )(\w+)~m', $source, $found);
    return array_intersect_key($others, array_flip($found[1])) !== [];
}

/** @param array<string, string> $sources */
function joined(array $sources): string
{
    $imports = [];
    $bodies = [];
    foreach ($sources as $source) {
        preg_match_all('~^use .*;\n~m', $source, $found);
        array_push($imports, ...$found[0]);
        $body = explode("namespace Phpgw;\n", $source, 2)[1];
        $bodies[] = trim((string) preg_replace('~^use .*;\n~m', '', $body)) . "\n";
    }
    sort($imports);
    return <<<'PHP'
        <?php

        // phpgw's PHP library in one file, for projects without Composer: require_once it. Made by build.php of what is
        // in src/: change that. MIT License, Copyright (c) 2026 The phpgw developers; see LICENSE.

        declare(strict_types=1);

        namespace Phpgw;


        PHP . implode('', array_unique($imports)) . "\n" . implode("\n", $bodies);
}

$library = joined(ordered(sources()));
if (in_array('--write', $argv, true)) {
    file_put_contents(__DIR__ . '/phpgw.php', $library);
} else {
    echo $library;
}
