// The library that renders the pages, with its types. Everything else imports it from here.

import * as library from './vendor-htm-preact.js'

/** @type {typeof import('htm/preact')} */
const typed = /** @type {any} */ (library)

export const { h, html, render, Component, useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback } = typed
