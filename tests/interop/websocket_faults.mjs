// What npm's ws sees of each path: node websocket_faults.mjs OPTIONS PATH...
// Says how the connection was closed, or the error; or, where all went well, whether there was a pong.
import { readFileSync } from 'node:fs'
import WebSocket from 'ws'

const { url, ca, hanging } = JSON.parse(process.argv[2])
const options = { ca: ca ? readFileSync(ca) : undefined }

const talk = (path) =>
  new Promise((resolve) => {
    const handshakeTimeout = path === hanging ? 500 : undefined
    const socket = new WebSocket(url + path, { ...options, handshakeTimeout })
    let ponged = false
    socket.on('open', () => {
      socket.ping()
      socket.send('hello, world')
    })
    socket.on('pong', () => {
      ponged = true
    })
    socket.on('message', (data) => {
      if (String(data) === 'hello, world') resolve(['message', ponged ? 'pong' : 'no pong'])
      socket.terminate()
    })
    socket.on('error', (error) => resolve([error.code || error.message]))
    socket.on('close', (code) => resolve(['closed', code]))
  })

const seen = {}
for (const path of process.argv.slice(3)) seen[path] = await talk(path)
console.log(JSON.stringify(seen))
