<?php

declare(strict_types=1);

namespace App\Controller;

use Phpgw\Answer;
use Phpgw\Event;
use Phpgw\Reply;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Attribute\AsController;
use Symfony\Component\Routing\Attribute\Route;
use Symfony\Component\Security\Core\User\UserInterface;
use Symfony\Component\Security\Http\Attribute\CurrentUser;

/** What the gateway asks. Messages are JSON: {"room": ..., "text": ...}; without a text, it is to be joined. */
#[AsController]
final class WebSocketController
{
    // Over FastCGI the path of an event is that of the browser's WebSocket.
    #[Route('/ws', methods: ['POST'])]
    public function __invoke(Event $event, Request $request, #[CurrentUser] ?UserInterface $user): Response
    {
        if ($request->hasSession() && $request->getSession()->isStarted()) {
            $request->getSession()->save(); // the user is known: let the user's pages have their session
        }
        $answer = match (true) {
            $event->isConnect() => $this->connect($user),
            $event->isMessage() => $this->message($event),
            default => Reply::nothing(),
        };
        return new Response($answer->body(), $answer->status(), $answer->headers());
    }

    private function connect(?UserInterface $user): Answer
    {
        return $user === null
            ? Reply::refuse(401, 'Log in first.')
            : Reply::nothing()->bind($user->getUserIdentifier());
    }

    private function message(Event $event): Answer
    {
        $message = json_decode($event->message, true);
        $room = $message['room'] ?? null;
        $text = $message['text'] ?? null;
        if (!is_string($room) || preg_match('~^[a-z0-9-]{1,40}$~D', $room) !== 1) {
            return Reply::text($this->say(['error' => 'There is no such room.']));
        }
        if (!is_string($text)) {
            return Reply::nothing()->join("room-$room");
        }
        $said = $this->say(['room' => $room, 'from' => $event->user, 'text' => $text]);
        return Reply::nothing()->sendToGroup("room-$room", $said);
    }

    /** @param array<string, string|null> $message */
    private function say(array $message): string
    {
        return json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    }
}
