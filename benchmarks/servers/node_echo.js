// Node's net and tls: an echo.
//
//     node node_echo.js [--tls=PREFIX] PORT|PATH
'use strict'

const fs = require('fs')
const net = require('net')
const tls = require('tls')

const words = process.argv.slice(2)
const address = words.pop()

function echo (socket) {
  socket.on('data', (data) => {
    if (!socket.write(data)) {
      socket.pause()
      socket.once('drain', () => socket.resume())
    }
  })
  socket.on('error', () => {})
}

let server
if (words.length) {
  const prefix = words[0].slice('--tls='.length)
  server = tls.createServer({
    key: fs.readFileSync(`${prefix}.key`),
    cert: fs.readFileSync(`${prefix}.crt`),
    noDelay: true
  }, echo)
} else {
  server = net.createServer({ noDelay: true }, echo)
}
if (/^\d+$/.test(address)) {
  server.listen({ port: Number(address), host: '127.0.0.1', backlog: 4096 })
} else {
  server.listen({ path: address, backlog: 4096 })
}
