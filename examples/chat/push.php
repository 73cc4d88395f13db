<?php

// PHP's way out to browsers: the gateway's POST /send.

declare(strict_types=1);

const PUSH_CONNECT_MS = 500;
const PUSH_TOTAL_MS = 2000;

/**
 * Sends one message to each of these clients.
 *
 * @param list<string> $clients
 * @return list<string> the clients that are gone: the gateway answered 404. A client that could not be
 *     reached for another reason (the gateway is busy, or down) is not reported: it may well still be there.
 */
function push(array $clients, string $message): array
{
    $url = send_url();
    $forms = [];
    foreach ($clients as $client) {
        $forms[] = http_build_query(['client_id' => $client, 'message' => $message]);
    }
    $statuses = extension_loaded('curl') ? post_with_curl($url, $forms) : post_with_streams($url, $forms);
    return array_values(array_intersect_key($clients, array_filter($statuses, static fn (int $s): bool => $s === 404)));
}

/** Where the gateway takes pushes. */
function send_url(): string
{
    if (isset($_SERVER['PHPGW_SEND_URL'])) { // as a web server's fastcgi_param
        return $_SERVER['PHPGW_SEND_URL'];
    }
    if (str_starts_with($_SERVER['SERVER_SOFTWARE'] ?? '', 'phpgw/')) { // asked by the gateway itself
        $host = $_SERVER['SERVER_ADDR'];
        $host = str_contains($host, ':') ? "[$host]" : $host;
        return "http://$host:{$_SERVER['SERVER_PORT']}/send";
    }
    return 'http://127.0.0.1:8080/send';
}

/**
 * All at once, over a few connections that are kept and used again.
 *
 * @param list<string> $forms
 * @return list<int> HTTP statuses, 0 where there was no answer
 */
function post_with_curl(string $url, array $forms): array
{
    $multi = curl_multi_init();
    curl_multi_setopt($multi, CURLMOPT_MAX_HOST_CONNECTIONS, 8);
    $posts = [];
    foreach ($forms as $form) {
        $posts[] = $post = curl_init($url);
        curl_setopt_array($post, [
            CURLOPT_POSTFIELDS => $form,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT_MS => PUSH_CONNECT_MS,
            CURLOPT_TIMEOUT_MS => PUSH_TOTAL_MS,
            CURLOPT_PROXY => '', // the gateway is near: never by a proxy from the environment
            CURLOPT_HTTPHEADER => ['Expect:'],
        ]);
        curl_multi_add_handle($multi, $post);
    }
    do {
        $status = curl_multi_exec($multi, $running);
        if ($running > 0) {
            curl_multi_select($multi);
        }
    } while ($running > 0 && $status === CURLM_OK);
    return array_map(static fn (CurlHandle $post): int => curl_getinfo($post, CURLINFO_RESPONSE_CODE), $posts);
}

/**
 * One after the other, for a PHP without ext-curl.
 *
 * @param list<string> $forms
 * @return list<int>
 */
function post_with_streams(string $url, array $forms): array
{
    $statuses = [];
    foreach ($forms as $form) {
        $answer = @fopen($url, 'r', false, stream_context_create(['http' => [
            'method' => 'POST',
            'header' => 'Content-Type: application/x-www-form-urlencoded',
            'content' => $form,
            'timeout' => PUSH_TOTAL_MS / 1000,
            'ignore_errors' => true, // a 404 is an answer too
        ]]));
        $head = $answer === false ? '' : stream_get_meta_data($answer)['wrapper_data'][0] ?? '';
        $statuses[] = preg_match('~^HTTP/\S+ (\d{3})~', $head, $found) === 1 ? (int) $found[1] : 0;
    }
    return $statuses;
}
