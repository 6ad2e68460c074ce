// Bun: an echo on its sockets, HTTP, and WebSocket by uWebSockets.
//
//     bun bun_server.js echo|http|websocket [--deflate] [--broadcast] PORT
'use strict'

const words = process.argv.slice(2)
const port = Number(words.pop())
const hostname = '127.0.0.1'
const kind = words.shift()

if (kind === 'echo') {
  Bun.listen({
    hostname,
    port,
    socket: {
      open (socket) { socket.data = null },
      data (socket, data) {
        if (socket.data) {
          socket.data = Buffer.concat([socket.data, data])
          return
        }
        const sent = socket.write(data)
        if (sent < data.length) {
          socket.data = Buffer.from(data.subarray(sent))
          socket.pause()
        }
      },
      drain (socket) {
        if (!socket.data) return
        const sent = socket.write(socket.data)
        socket.data = sent < socket.data.length ? socket.data.subarray(sent) : null
        if (!socket.data) socket.resume()
      }
    }
  })
} else if (kind === 'http') {
  const headers = { 'content-type': 'text/plain' }
  Bun.serve({
    hostname,
    port,
    maxRequestBodySize: 2 ** 30,
    async fetch (request) {
      if (request.method === 'GET') return new Response('Hello, World!', { headers })
      if (new URL(request.url).pathname !== '/upload') {
        return new Response(await request.bytes(), { headers })
      }
      let size = 0
      for await (const piece of request.body) size += piece.length
      return new Response(String(size), { headers })
    }
  })
} else {
  const broadcasts = words.includes('--broadcast')
  Bun.serve({
    hostname,
    port,
    fetch (request, server) {
      return server.upgrade(request) ? undefined : new Response('a WebSocket is', { status: 426 })
    },
    websocket: {
      maxPayloadLength: 2 ** 24,
      perMessageDeflate: words.includes('--deflate'),
      open (socket) { if (broadcasts) socket.subscribe('everybody') },
      message (socket, message) {
        if (broadcasts) {
          socket.publish('everybody', message)
          socket.send(message)
        } else {
          socket.send(message, words.includes('--deflate'))
        }
      }
    }
  })
}
