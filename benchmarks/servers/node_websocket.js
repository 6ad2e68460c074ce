// npm's ws, with bufferutil.
//
//     node node_websocket.js [--deflate] [--broadcast] PORT
'use strict'

const { WebSocketServer } = require('ws')

const words = process.argv.slice(2)
const port = Number(words.pop())

const server = new WebSocketServer({
  port,
  host: '127.0.0.1',
  backlog: 4096,
  maxPayload: 2 ** 24,
  clientTracking: words.includes('--broadcast'),
  perMessageDeflate: words.includes('--deflate')
})
server.on('connection', (socket) => {
  socket.on('error', () => {})
  if (words.includes('--broadcast')) {
    socket.on('message', (data, binary) => {
      for (const each of server.clients) each.send(data, { binary })
    })
  } else {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  }
})
