/** Pages of ours in a real browser: each alone in a directory, so that nothing beside it can be part of it. */
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import puppeteer, { type Page } from 'puppeteer-core'

export type Shown<T> = {
  title: string
  /** What the code that was asked for has found. */
  found: T
  /** What the browser complained of: scripts, requests that failed. */
  complaints: string[]
  /** Schemes of all that it fetched: the page is one. */
  requested: string[]
  /** Something sticks out on the right. */
  wide: boolean
}

/**
 * Show a page in Chromium.
 *
 * @param look code, as text: it runs in the browser, whose names the compiler does not know here
 * @param width of the window, in pixels
 */
export async function inBrowser<T>(path: string, look: string, width = 1200): Promise<Shown<T>> {
  const alone = await mkdtemp('/var/tmp/page-')
  const browser = await puppeteer.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox'],
    defaultViewport: { width, height: 900 },
  })
  try {
    const page: Page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('requestfailed', (request) => complaints.push(request.url().slice(0, 100)))
    const requested: string[] = []
    page.on('request', (request) => requested.push(new URL(request.url()).protocol))
    const copy = join(alone, 'page.html')
    await cp(path, copy)
    await page.goto(pathToFileURL(copy).href, { waitUntil: 'load' })
    const found = (await page.evaluate(look)) as T
    const wide = (await page.evaluate(
      'document.documentElement.scrollWidth > document.documentElement.clientWidth',
    )) as boolean
    return { title: await page.title(), found, complaints, requested, wide }
  } finally {
    await browser.close()
    await rm(alone, { recursive: true, force: true })
  }
}
