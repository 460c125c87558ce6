//! The live view page: a whole browser whose session and token stand in the address.

import { open } from './browser.ts';
import { PageHost } from './host.ts';

const { view } = open(new PageHost(() => view.connection.connect()));
void view.start();
