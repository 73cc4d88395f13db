<?php

// A reply that grows while the script runs.

declare(strict_types=1);

use Phpgw\Reply;

const STORYTELLER = ['id' => 'storyteller', 'name' => 'Storyteller'];

const STORIES = [
    'Once there was a script that wished to hold on to a browser. “But you live for one request only,” said the '
        . 'gateway. “Let me hold it for you.” Since then the script sleeps soundly, wakes for every word that {name} '
        . 'says, gives its answer, and sleeps again. So they live happily to this day, a few milliseconds at a time.',
    'Every second a timer walked through {room} and called out the time, and nobody ever answered. One evening '
        . '{name} looked up and said: “Thank you.” The timer was so surprised that it nearly came late. It has been on '
        . 'time ever since, in case somebody should say it again.',
    '{name} put a message into a bottle and threw it into the sea. “That may take years,” said the gulls. But the '
        . 'sea was a socket, the waves were frames, and before the ripples were gone the bottle had come ashore in '
        . 'every window of {room}.',
];

/**
 * Has the storyteller tell a story to the whole room, word by word.
 *
 * Each command goes to the gateway at once, and is run there while we go on. A real assistant would loop over the words
 * of a language model in the same way.
 */
function tell_a_story(string $room, array $me, array $said): void
{
    $stream = Reply::stream();
    $stream->sendToGroup($room, message('said', $said));

    $ref = bin2hex(random_bytes(8));
    $story = strtr(STORIES[array_rand(STORIES)], ['{name}' => $me['name'], '{room}' => $room]);
    $told = '';
    foreach (explode(' ', $story) as $word) {
        $told = ltrim("$told $word");
        $stream->sendToGroup($room, message('growing', ['from' => STORYTELLER, 'text' => $told, 'ref' => $ref]));
        usleep(90_000);
    }
    $stream->sendToGroup($room, message('said', (new History($room))->add(STORYTELLER, $told, $ref)));
}
