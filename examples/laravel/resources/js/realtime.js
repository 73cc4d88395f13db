// Laravel's broadcasts over a plain WebSocket, which connects again when it has been cut.
//
//     const realtime = connect(`wss://${location.host}/ws`)
//     realtime.channel('private-orders.7').on('OrderShipped', (order) => { ... })
//     fetch(url, { headers: { 'X-Socket-ID': realtime.socket } })   // for broadcast(...)->toOthers()

const LONGEST_PAUSE = 30_000

export function connect(url) {
    const channels = new Map() // name -> Map of event -> callback
    const realtime = { socket: '', channel }
    let webSocket
    let failures = 0

    function open() {
        webSocket = new WebSocket(url)
        webSocket.onmessage = (message) => receive(JSON.parse(message.data))
        webSocket.onclose = () => {
            realtime.socket = ''
            // Not all at once, when a server that had many has come back.
            setTimeout(open, Math.random() * Math.min(LONGEST_PAUSE, 1000 * 2 ** failures++))
        }
    }

    function receive({ event, channel, data }) {
        if (event === 'connected') {
            failures = 0
            realtime.socket = data.socket
            channels.forEach((_, name) => subscribe(name))
        } else {
            channels.get(channel)?.get(event)?.(data)
        }
    }

    function subscribe(channel) {
        webSocket.send(JSON.stringify({ event: 'subscribe', channel }))
    }

    function channel(name) {
        if (!channels.has(name)) {
            channels.set(name, new Map())
            if (realtime.socket !== '') subscribe(name)
        }
        const joined = {
            // Its own events, and "subscribed" and "denied".
            on(event, callback) {
                channels.get(name).set(event, callback)
                return joined
            },
        }
        return joined
    }

    open()
    return realtime
}
