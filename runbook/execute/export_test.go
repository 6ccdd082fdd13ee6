package execute

// What the tests of the whole look at.
const LookedAt = lookedAt
const ProgressEvery = progressEvery

var Unheard = unheard
