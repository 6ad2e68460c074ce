// toxiproxy-node-client, unchanged: makes a proxy and every toxic, changes and removes them.
//
//     node toxiproxy.mjs API UPSTREAM
import client from 'toxiproxy-node-client'

const { Toxiproxy } = client
const [api, upstream] = process.argv.slice(2)
const toxiproxy = new Toxiproxy(api)

const toxics = {
  latency: { latency: 10, jitter: 5 },
  bandwidth: { rate: 100 },
  slow_close: { delay: 10 },
  timeout: { timeout: 10 },
  reset_peer: { timeout: 10 },
  slicer: { average_size: 10, size_variation: 5, delay: 10 },
  limit_data: { bytes: 10 }
}

const said = { version: (await toxiproxy.getVersion()).data.version }
const proxy = await toxiproxy.createProxy({ name: 'mine', listen: '127.0.0.1:0', upstream })
said.listen = proxy.listen
const made = []
for (const [type, attributes] of Object.entries(toxics)) {
  made.push(await proxy.addToxic({ type, name: type, attributes, toxicity: 0.5, stream: 'upstream' }))
}
said.toxics = made.map((toxic) => toxic.toJson())
const latency = await proxy.getToxic('latency')
const updated = await latency.update({ attributes: { latency: 20, jitter: 0 }, toxicity: 1 })
said.updated = [updated.attributes.latency, updated.toxicity]
await updated.remove()
try {
  await proxy.getToxic('latency')
} catch (error) {
  said.gone = error.message
}
said.disabled = (await proxy.update({ enabled: false })).enabled
said.upstream = (await toxiproxy.get('mine')).upstream
try {
  await toxiproxy.createProxy({ name: 'mine', listen: '127.0.0.1:0', upstream })
} catch (error) {
  said.again = error.message
}
await toxiproxy.reset()
said.reset = (await toxiproxy.get('mine')).enabled
said.proxies = Object.keys((await toxiproxy.getAll()))
await proxy.remove()
said.removed = Object.keys((await toxiproxy.getAll()))
const populated = await toxiproxy.populate([{ name: 'two', listen: '127.0.0.1:0', upstream }])
said.populated = Object.keys(populated)
console.log(JSON.stringify(said))
