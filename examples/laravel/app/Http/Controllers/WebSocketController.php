<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Models\User;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Facades\Broadcast;
use Phpgw\Answer;
use Phpgw\Event;
use Phpgw\Reply;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/** What the gateway asks. Messages are JSON: {"event": ..., "channel": ..., "data": ...}. */
final class WebSocketController
{
    public function __invoke(Event $event, Request $request): Response
    {
        $answer = match (true) {
            $event->isConnect() => $this->connect($event, $request->user()),
            $event->isMessage() => $this->message($event, $request),
            default => Reply::nothing(),
        };
        return new Response($answer->body(), $answer->status(), $answer->headers());
    }

    private function connect(Event $event, ?User $user): Answer
    {
        if ($user === null) {
            return Reply::refuse(401, 'Log in first.');
        }
        // The browser sends the id back as X-Socket-ID, for broadcast(...)->toOthers().
        return $this->say('connected', null, ['socket' => $event->clientId])->bind($user->id);
    }

    private function message(Event $event, Request $request): Answer
    {
        $message = json_decode($event->message, true);
        $channel = $message['channel'] ?? null;
        if (!is_string($channel) || $channel === '') {
            return $this->say('error', null, 'There is no channel.');
        }
        return match ($message['event'] ?? null) {
            'subscribe' => $this->subscribe($channel, $request),
            'unsubscribe' => Reply::nothing()->leave($channel),
            default => $this->say('error', $channel, 'There is no such event.'),
        };
    }

    /** routes/channels.php decides. */
    private function subscribe(string $channel, Request $request): Answer
    {
        try {
            $details = Broadcast::auth($request->merge(['channel_name' => $channel]));
        } catch (AccessDeniedHttpException) {
            return $this->say('denied', $channel, null);
        }
        return $this->say('subscribed', $channel, $details)->join($channel);
    }

    private function say(string $event, ?string $channel, mixed $data): Reply
    {
        return Reply::text(json_encode(compact('event', 'channel', 'data'), JSON_THROW_ON_ERROR));
    }
}
