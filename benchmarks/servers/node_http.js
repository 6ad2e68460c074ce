// Node's http and https.
//
//     node node_http.js [--tls=PREFIX] PORT
'use strict'

const fs = require('fs')
const http = require('http')
const https = require('https')

const HELLO = Buffer.from('Hello, World!')

function answer (response, content) {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': content.length })
  response.end(content)
}

function respond (request, response) {
  if (request.method === 'GET') {
    answer(response, HELLO)
    return
  }
  const upload = request.url === '/upload'
  const pieces = []
  let size = 0
  request.on('data', (piece) => {
    size += piece.length
    if (!upload) pieces.push(piece)
  })
  request.on('end', () => {
    answer(response, upload ? Buffer.from(String(size)) : Buffer.concat(pieces))
  })
}

const words = process.argv.slice(2)
const port = Number(words.pop())
let server
if (words.length) {
  const prefix = words[0].slice('--tls='.length)
  server = https.createServer({
    key: fs.readFileSync(`${prefix}.key`),
    cert: fs.readFileSync(`${prefix}.crt`)
  }, respond)
} else {
  server = http.createServer(respond)
}
server.keepAliveTimeout = 75000
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
