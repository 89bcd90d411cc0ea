// Calls to nsqadmin, other than the stream.

import { api } from './config.js'

/** No call takes longer, in ms. */
const TIMEOUT = 20_000

/** What nsqadmin answered when it could not. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/**
 * @param {string} method
 * @param {string} address
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, address, body) {
  const signal = AbortSignal.timeout(TIMEOUT)
  /** @type {RequestInit} */
  const request = { method, signal, headers: { Accept: 'application/vnd.nsq; version=1.0' } }
  if (body) {
    request.body = JSON.stringify(body)
    request.headers = { ...request.headers, 'Content-Type': 'application/json' }
  }
  let response
  try {
    response = await fetch(address, request)
  } catch {
    throw new Refused(0, signal.aborted ? 'nsqadmin did not answer within 20 s.' : 'nsqadmin cannot be reached.')
  }
  const text = await response.text()
  const answer = parse(text)
  if (!response.ok) throw new Refused(response.status, answer?.message ?? (text || response.statusText))
  return answer
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/**
 * @param {string[]} parts
 * @param {Record<string, string>} [query]
 */
export const read = (parts, query = {}) => {
  const search = new URLSearchParams(query).toString()
  return call('GET', api(...parts) + (search && `?${search}`))
}

/**
 * @param {string[]} parts
 * @param {object} body
 */
export const post = (parts, body) => call('POST', api(...parts), body)

/**
 * @param {string[]} parts
 * @param {object} [body]
 */
export const remove = (parts, body) => call('DELETE', api(...parts), body)
