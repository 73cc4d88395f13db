<?php

declare(strict_types=1);

namespace Phpgw\Laravel;

use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Illuminate\Support\Arr;
use Phpgw\Gateway;
use Phpgw\GatewayError;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * Laravel's broadcasting over the gateway: a channel is the group of its name.
 *
 * The browser gets {"event": ..., "channel": ..., "data": ...} as text, once for each channel it has joined.
 */
final class PhpgwBroadcaster extends Broadcaster
{
    use UsePusherChannelConventions;

    public function __construct(private readonly Gateway $gateway)
    {
    }

    /**
     * Decides by the callbacks in routes/channels.php whether the user may join $request->channel_name. A channel
     * without a callback is nobody's, a public one too: groups of other kinds must not be open to whoever names them.
     *
     * @param \Illuminate\Http\Request $request
     * @return array<string, mixed>
     * @throws AccessDeniedHttpException
     */
    public function auth($request): array
    {
        $channel = $request->input('channel_name');
        if (!is_string($channel) || $channel === '') {
            throw new AccessDeniedHttpException('There is no channel_name.');
        }
        $name = $this->normalizeChannelName($channel);
        if ($this->isGuardedChannel($channel) && !$this->retrieveUser($request, $name)) {
            throw new AccessDeniedHttpException('This channel is for users who are logged in.');
        }
        return parent::verifyUserCanAccessChannel($request, $name);
    }

    /**
     * @param \Illuminate\Http\Request $request
     * @param mixed $result what the channel's callback has returned; on presence channels, what others may know
     * @return array<string, mixed>
     */
    public function validAuthenticationResponse($request, $result): array
    {
        $channel = $request->input('channel_name');
        if (is_bool($result)) {
            return ['channel' => $channel];
        }
        $user = $this->retrieveUser($request, $this->normalizeChannelName($channel));
        $id = method_exists($user, 'getAuthIdentifierForBroadcasting')
            ? $user->getAuthIdentifierForBroadcasting()
            : $user->getAuthIdentifier();
        return ['channel' => $channel, 'user_id' => $id, 'user_info' => $result];
    }

    /**
     * @param array<string|\Illuminate\Broadcasting\Channel> $channels
     * @param string $event
     * @param array<string, mixed> $payload "socket" in it is the client that is left out: toOthers()
     * @throws BroadcastException
     */
    public function broadcast(array $channels, $event, array $payload = []): void
    {
        $socket = Arr::pull($payload, 'socket');
        // An X-Socket-ID header may be there and be empty, while the page has no connection yet.
        $others = is_string($socket) && $socket !== '' ? [$socket] : [];
        $batch = $this->gateway->batch();
        foreach ($this->formatChannels($channels) as $channel) {
            $message = ['event' => $event, 'channel' => $channel, 'data' => $payload];
            try {
                $text = json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
            } catch (\JsonException $error) {
                throw new BroadcastException("The event $event cannot be sent: {$error->getMessage()}", 0, $error);
            }
            $batch->sendToGroup($channel, $text, $others);
        }
        try {
            $batch->run()->orThrow();
        } catch (GatewayError $error) {
            throw new BroadcastException($error->getMessage(), $error->status, $error);
        }
    }
}
