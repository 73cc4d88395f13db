<?php

declare(strict_types=1);

namespace Phpgw\Laravel;

use Closure;
use Illuminate\Http\Request;
use Illuminate\Session\SessionManager;
use Symfony\Component\HttpFoundation\Response;

/**
 * Middleware in place of StartSession: the session can be read, and is not written back.
 *
 * Messages arrive while the user's pages load. Written back, the session would lose what a page has put into it in
 * the meantime, and its flash data would be used up by messages.
 */
final class ReadSession
{
    public function __construct(private readonly SessionManager $sessions)
    {
    }

    public function handle(Request $request, Closure $next): Response
    {
        $session = $this->sessions->driver();
        $session->setId($request->cookies->get($session->getName()));
        $session->setRequestOnHandler($request);
        $session->start();
        $request->setLaravelSession($session);
        return $next($request);
    }
}
