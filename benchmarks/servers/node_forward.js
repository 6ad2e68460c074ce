// Node's net: a relay by pipe.
//
//     node node_forward.js --to=PORT PORT
'use strict'

const net = require('net')

const [to, port] = process.argv.slice(2).map((word) => Number(word.replace('--to=', '')))

net.createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const upstream = net.connect({ port: to, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  client.pipe(upstream).pipe(client)
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
}).listen({ port, host: '127.0.0.1', backlog: 4096 })
