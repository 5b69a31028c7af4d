/** Names for sandboxes that nobody has named, in docker's form: `brave_otter`. */

/** The name that goes with an id, whose digits choose the words. It takes no room in programs so. */
export function derivedName(id: string): string {
  const half = Math.floor(id.length / 2);
  const word = (words: readonly string[], digits: string) =>
    words[Number.parseInt(digits, 16) % words.length];
  return `${word(adjectives, id.slice(0, half))}_${word(nouns, id.slice(half))}`;
}

const wordsOf = (text: string) => text.trim().split(/\s+/);

export const adjectives = wordsOf(`
  able active agile airy alert amber ample apt arctic azure balmy blithe bold brave breezy bright
  brisk bronze calm candid cheery civil classic clean clear clever coastal copper cosmic cozy crisp
  curious dapper daring deep deft dewy eager early earnest easy even fair famous fast fine firm fleet
  fond frank free fresh frosty gentle gifted glad gleaming golden good graceful grand green handy
  happy hardy hearty honest humble ideal jolly jovial keen kind lively loyal lucid lucky lunar mellow
  merry mild mindful mossy neat nimble noble novel open patient placid plucky polished prime proud
  pure quick quiet ready robust rosy royal serene sharp silver sincere sleek smart smooth snowy solar
  solid spry stable starry steady still sunny sure swift tidy tranquil trusty upbeat vast vivid warm
  wise witty zesty
`);

export const nouns = wordsOf(`
  acorn alder alpaca anchor antler apple apricot arch aspen atlas aurora badger bamboo banyan barley
  basil bay beacon beaver bee beech bell birch bison blossom bluebell boat brook buffalo bumblebee
  butterfly cabin cactus camel canoe canyon caribou cedar cello cherry chestnut cicada clover comet
  compass condor copse coral cove crane cricket crystal cypress daisy dahlia deer delta dolphin dove
  dragonfly dune eagle echo egret elk elm ember falcon feather fennel fern ferry finch fir firefly
  fjord flamingo flute forest fountain fox gannet garden gazelle geyser ginger glacier glade granite
  grove gull harbor hare harp haven hawk hazel heath hedgehog heron hill horizon ibex ibis iris
  island ivy jackdaw jasmine jay juniper kestrel kingfisher kite koala lagoon lake lantern larch lark
  laurel lava lavender lemon lemur lichen lighthouse lilac lily linden linnet llama lotus lynx magpie
  manatee mango maple marigold marmot marsh meadow mesa meteor mint moon moose mountain myrtle
  narwhal nebula newt nightingale oak oasis oat ocean olive orchard orchid oriole osprey otter owl
  panda papaya partridge peach pear pebble pelican penguin peony petrel pine planet plover plum pond
  poplar poppy porcupine prairie puffin quail quarry quartz rabbit rain raven reed reef ridge river
  robin rose rowan saffron salmon sapling seal sequoia shore skylark sparrow spring spruce squirrel
  starling stork stream summit swallow swan tamarind tern thicket thistle thrush thyme tiger toucan
  trail tulip tundra turtle valley violet walnut walrus waterfall wave weasel willow wind wolf wombat
  woodland wren yarrow zebra zephyr
`);
