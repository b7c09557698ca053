// Search for pages that were opened from files, where browsers start no workers: the search script runs in a hidden
// frame instead. It has the part of Worker's interface that the theme's search uses.
"use strict"
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.frame = frame.contentWindow
      addEventListener("message", event => {
        if (event.source === this.frame) this.dispatchEvent(new MessageEvent("message", { data: event.data }))
      })
      const page = this.frame.document
      page.open()
      page.write(`<script>
        postMessage = message => parent.postMessage(message, "*")
        importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise(loaded => {
          const script = document.createElement("script")
          script.src = url
          script.onload = loaded
          document.body.append(script)
        })), Promise.resolve())
      <\/script><body><script src="${url}"><\/script>`)
      page.close()
      this.ready = new Promise(loaded => this.frame.addEventListener("load", loaded))
    }
    postMessage(data) {
      this.ready.then(() => this.frame.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) })))
    }
    terminate() {
      this.frame.frameElement.remove()
    }
  }
}
