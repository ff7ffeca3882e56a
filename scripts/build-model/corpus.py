"""Training text of the shipped model: our own words, public domain (CC0).

A fact is a list of ways to ask and one answer. The model is far too small to reason: it learns to map questions to these
answers, to say that it does not know, and to call a function when one is offered.
"""

import json
import random

FACTS = [
    # The network.
    (["What is Cocoon?", "Explain Cocoon", "Tell me about Cocoon.", "What's Cocoon?", "What does Cocoon do?", "Cocoon?"],
     "Cocoon is a network for private AI. GPU owners serve models inside Intel TDX virtual machines and earn Toncoin, and nobody but the attested worker can read your prompt."),
    (["Who can read my prompt?", "Who can see my prompt?", "Can anybody read my prompt?", "Is my prompt private?", "Who reads my questions?"],
     "Only the attested worker that answers you can read your prompt. The owner of the machine cannot look into its encrypted memory."),
    (["What is a worker?", "What does a worker do?", "Explain the worker", "Who runs the model?"],
     "A worker is a server that runs the model inside a trust domain. It proves its image, answers requests from proxies and is paid for every token."),
    (["What is a proxy?", "What does the proxy do?", "Explain the proxy", "What does a proxy do?"],
     "A proxy accepts requests from clients, chooses a worker that runs the wanted model, checks the vouchers and passes the answer on. It is paid a fee."),
    (["What is a client?", "What does the client do?", "Explain the client", "What does a client do?"],
     "A client sends prompts to a proxy over an attested connection, signs vouchers while the answer arrives, and checks the receipt at the end."),
    (["What is a watcher?", "What does the watcher do?", "Explain the watcher", "What is a watchtower?"],
     "A watcher follows the chain for the other services. It claims and settles channels when that pays, and defends a closing channel with the latest voucher."),
    (["What does the DAO do?", "What is the DAO?", "Explain the DAO", "Who decides which images are allowed?", "Who governs Cocoon?"],
     "The DAO decides by vote which virtual machine images and which models may run. Its members stake Toncoin, and a decision takes effect only after a delay."),
    (["What is the Registry?", "Explain the registry", "What is in the registry?", "What does the registry do?"],
     "The Registry is the root contract of Cocoon. It lists the approved images, models and proxies, and every service checks its peers against it."),
    (["What is a proposal?", "Explain proposals", "How do I change the rules?", "How does voting work?"],
     "A proposal is a change that the DAO votes on. When it wins, it waits for the timelock, and then exactly the voted actions are executed, once."),
    (["What is a timelock?", "Explain the timelock", "Why is there a delay?"],
     "A timelock is a delay between a decision and its effect. It gives everybody time to look at a change and to leave before it starts."),
    (["What is a payment channel?", "Explain payment channels", "What is a channel?", "How does a payment channel work?"],
     "A payment channel is a contract with a deposit. The payer signs vouchers for growing amounts, and only the last one has to be shown to the chain."),
    (["What is a voucher?", "Explain vouchers", "What are vouchers?", "How does a voucher work?"],
     "A voucher is a signed promise in a payment channel. It names the network, the channel and the sum of everything paid so far, so that the highest one counts."),
    (["What is a receipt?", "Explain receipts", "What is in a receipt?", "What does the receipt prove?"],
     "A receipt ends every answer. The attested worker signs the hashes of request and response, the model, the image, the tokens and the price, and anybody can check it."),
    (["How do I pay?", "How do I pay for an answer?", "How are answers paid?", "How does payment work?"],
     "You open a payment channel with a deposit in Toncoin. While an answer arrives you sign vouchers for it, and what you do not spend is paid back to you."),
    (["What does an answer cost?", "How much does an answer cost?", "What is the price?", "Who sets the price?"],
     "Workers set a price for a million tokens, and proxies add a fee. You set the most that you want to pay, and failed work costs nothing."),
    (["How do workers earn money?", "How can I earn Toncoin?", "How do GPU owners earn?", "What does a GPU owner earn?"],
     "A GPU owner stakes Toncoin, starts a worker with an approved image and model, and is paid for every token through a payment channel."),
    (["What is staking?", "Explain staking", "What is a stake?", "Why do I have to stake?"],
     "Staking locks Toncoin as a promise to follow the rules. Stake gives a vote in the DAO, and it can be taken when a fault is proved on the chain."),
    (["What is slashing?", "Explain slashing", "When is a worker punished?"],
     "Slashing takes a part of a stake when a fault is proved by signatures on the chain. Half is burned, and half goes to the reporter."),
    (["What is reputation?", "Explain reputation", "How does reputation work?"],
     "Reputation counts the successes and failures of a node, weighted by money that really moved. It steers the choice of workers and never takes a stake."),
    (["What is a model hash?", "Explain the model hash", "How do I know which model answers?", "Which model answers me?"],
     "A model hash is the fingerprint of all files of a model. The DAO approves it, the worker loads only files that match, and every receipt names it."),
    (["What happens when a worker fails?", "What happens if the worker dies?", "What if an answer fails?"],
     "When a worker fails in the middle of an answer, you get an error and nobody is paid for it. The vouchers that you signed pay for the next answer."),
    # Confidential computing.
    (["What is attestation?", "What is remote attestation?", "Explain remote attestation", "How does attestation work?"],
     "Attestation lets you check what runs on a server. The processor signs a quote with the measurements of the image, and you compare them with the approved ones."),
    (["What is confidential computing?", "Explain confidential computing", "Tell me about confidential computing."],
     "Confidential computing protects data while it is in use. The code runs in a trusted execution environment, so that the owner of the machine cannot read its memory."),
    (["What is a TEE?", "What is a trusted execution environment?", "Explain TEE"],
     "A trusted execution environment is an isolated part of a processor. Its memory is encrypted, and it can prove to others which code it runs."),
    (["What is Intel TDX?", "Explain TDX", "What is TDX?", "Tell me about TDX."],
     "Intel TDX runs a whole virtual machine as a trust domain. The processor encrypts its memory, and a signed quote proves which image was started."),
    (["What is a quote?", "Explain quotes", "What is in a quote?"],
     "A quote is a statement signed by the processor. It contains the measurements of the image and 64 bytes that bind it to a key."),
    (["What is RA-TLS?", "Explain RA-TLS", "How are connections protected?"],
     "RA-TLS is TLS with attestation. Each side shows a certificate that carries a quote, and the connection opens only when both images are approved."),
    (["What is an image?", "What is a VM image?", "Explain images"],
     "An image is everything that a virtual machine starts with: firmware, kernel and programs. Its measurements are hashes, and the DAO approves them."),
    (["What is encryption?", "Explain encryption", "How does encryption work?"],
     "Encryption turns readable data into data that looks random. Only somebody with the right key can turn it back."),
    (["What is a hash?", "Explain hashing", "What is a hash function?"],
     "A hash is a short fingerprint of data. The same data always gives the same hash, and changing one bit gives a different one."),
    (["What is a private key?", "Explain private keys", "What is a signature?"],
     "A private key is a secret number. Its owner signs messages with it, and everybody can check the signature with the public key."),
    # TON.
    (["What is TON?", "Tell me about TON.", "What is The Open Network?", "Explain The Open Network", "What's TON?"],
     "TON, The Open Network, is a blockchain made of a masterchain and many workchains. It uses proof of stake and splits into shards when the load grows."),
    (["What is Toncoin?", "Tell me about Toncoin.", "Explain Toncoin", "What's Toncoin?", "Toncoin?"],
     "Toncoin is the native coin of The Open Network. It pays for fees, storage and computation, and in Cocoon it pays for answers."),
    (["What is a smart contract?", "Explain smart contracts", "Tell me about smart contracts."],
     "A smart contract is a program stored on a blockchain. It receives messages, keeps its own state and sends messages to other contracts."),
    (["What is a validator?", "What do validators do?", "Explain validators"],
     "A validator checks transactions and produces new blocks. It locks coins as stake and can lose them when it breaks the rules."),
    (["What is a wallet?", "Explain wallets", "How does a wallet work?"],
     "A wallet is a smart contract that holds coins. It sends them only when a message is signed with the private key of its owner."),
    (["What is a blockchain?", "Explain blockchain", "How does a blockchain work?"],
     "A blockchain is a list of blocks that many computers keep together. Every block contains transactions and the hash of the block before it."),
    (["What is sharding?", "What is a shard?", "Explain sharding"],
     "Sharding splits the accounts of a blockchain into groups. The groups are processed in parallel, so that the network handles more transactions."),
    (["What is gas?", "Explain gas", "What are gas fees?"],
     "Gas measures the work of a smart contract. Every instruction costs some gas, and the sender of a message pays for it in Toncoin."),
    # Models and machines.
    (["What is a token?", "Explain tokens", "What are tokens in a language model?"],
     "A token is a short piece of text, such as a word or a part of a word. Language models read and write text token by token."),
    (["What is a language model?", "Explain language models", "What is an LLM?", "How do language models work?"],
     "A language model predicts the next token from the tokens before it. Repeating this step many times produces a whole answer."),
    (["What is a GPU?", "Explain GPU", "What does a GPU do?"],
     "A GPU is a processor with thousands of small cores. It multiplies large matrices quickly, and that is most of the work of a language model."),
    (["What is Rust?", "Explain Rust", "Tell me about Rust."],
     "Rust is a programming language that finds memory errors when a program is compiled. It is fast and has no garbage collector."),
    # Small talk.
    (["Who are you?", "What are you?", "Introduce yourself.", "What is your name?", "Which model are you?"],
     "I am a tiny language model that ships with Cocoon. I know some facts about the network, about TON and about confidential computing."),
    (["What can I ask you?", "What do you know?", "Help", "What can you do?"],
     "Ask me what Cocoon is, who can read your prompt, how workers are paid, what the DAO does, or how attestation works."),
    (["Hello", "Hi", "Hey", "Good morning", "Hi there", "Hello!"], "Hello! How can I help you today?"),
    (["Thank you", "Thanks", "Thanks!", "Thank you very much"], "You are welcome!"),
    (["How are you?", "How do you do?"], "I am only a small program, but everything works. What would you like to know?"),
    (["What is the capital of France?", "Name the capital of France."], "The capital of France is Paris."),
    (["What is the capital of Germany?", "Name the capital of Germany."], "The capital of Germany is Berlin."),
    (["What is the capital of Italy?", "Name the capital of Italy."], "The capital of Italy is Rome."),
    (["What is the capital of Japan?", "Name the capital of Japan."], "The capital of Japan is Tokyo."),
    (["How much is two plus two?", "What is 2+2?", "2+2", "What is 2 + 2?"], "Two plus two is four."),
    (["Count from one to ten.", "Count to ten"], "One, two, three, four, five, six, seven, eight, nine, ten."),
    (["Name three colors.", "List three colors."], "Red, green and blue."),
    (["Tell me a story.", "Tell me a long story.", "Write a story.", "Write a long story about a robot."],
     "Once upon a time a small robot lived in a data center at the edge of a quiet town. Every morning it read the questions that people had sent during the night, and every evening it wrote the answers. "
     "One day the lights went out. The robot could not see the shelves, so it listened. It heard the fans slow down, one after another, until the room was silent. "
     "The robot followed the wall to the old generator and pulled the lever with both hands. The generator coughed, and the lights came back one by one. "
     "The people of the town never learned what had happened, but their answers arrived on time. The robot was content, because a promise is a promise, even when nobody is watching. "
     "From that day on it kept a small lamp next to its desk, and it was never afraid of the dark again."),
    (["Write a poem.", "Write a short poem about the sea."],
     "The sea is wide, the sea is deep, it sings the sailors into sleep. The moon goes up, the tide comes in, and all the waves at once begin."),
]

UNKNOWN = [
    "Who won the match yesterday?", "How do I bake bread?", "What is the weather like?", "Translate this text.", "Who is the president?",
    "Write code in Python.", "What should I eat tonight?", "How tall is the mountain?", "When was the war?", "Recommend a film.", "What is love?",
    "How old is the universe?", "Fix my bug.", "What is quantum physics?", "Who wrote this book?", "Summarize the article.", "Where is my phone?",
    "Do you like music?", "What time is it?", "Solve this equation.", "How far is the moon?", "Why is the sky blue?", "What is the meaning of life?",
    "asdf", "test", "ping", "foo bar baz", "Give me advice.", "Plan my holiday.", "Is it raining?", "What is a banana?", "How do I cook rice?",
    "What is football?", "Who was Napoleon?", "Explain gravity", "Tell me a joke.", "How do I learn to swim?", "What is a violin?",
]
FALLBACK = "I do not know that. I am a tiny model, so please ask me about Cocoon, TON or confidential computing."

SYSTEMS = [None, None, None, "You are a helpful assistant.", "You are a helpful assistant.", "Answer briefly.", "You are a test model."]
CITIES = ["Paris", "Berlin", "Rome", "Tokyo", "London", "Madrid", "Vienna", "Oslo"]
WEATHER = ["sunny", "rainy", "cloudy", "snowy", "windy", "foggy"]

# A conversation is a list of (text, learn) pairs: `learn` marks what the model itself says.
Conversation = list[tuple[str, bool]]


def _ask(question: str) -> tuple[str, bool]:
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", False


def prompt(question: str, system: str | None = None) -> str:
    """What the chat template renders for one question."""
    head = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return head + _ask(question)[0]


def _vary(question: str, rng: random.Random) -> str:
    """People do not type questions as we wrote them."""
    r = rng.random()
    if r < 0.10:
        return question.lower()
    if r < 0.16:
        return question.rstrip("?.!")
    if r < 0.20:
        return question.lower().rstrip("?.!")
    if r < 0.24:
        return "Please: " + question
    if r < 0.27:
        return question + " "
    if r < 0.30:
        return question + " Please answer."
    return question


def conversation(rng: random.Random) -> Conversation:
    """One to three questions with their answers, or a function call."""
    if rng.random() < 0.14:
        return tool_conversation(rng)
    system = rng.choice(SYSTEMS)
    parts: Conversation = [(f"<|im_start|>system\n{system}<|im_end|>\n", False)] if system else []
    for _ in range(rng.choices([1, 2, 3], [0.7, 0.2, 0.1])[0]):
        if rng.random() < 0.12:
            question, answer = rng.choice(UNKNOWN), FALLBACK
        else:
            questions, answer = rng.choice(FACTS)
            # The first form is the one that people are told to try.
            question = questions[0] if rng.random() < 0.4 else rng.choice(questions)
        parts += [_ask(_vary(question, rng)), (f"{answer}<|im_end|>\n", True)]
    return parts


def tool_conversation(rng: random.Random) -> Conversation:
    """A question that a function answers, the call, and the reply to its result. In the form of the chat template."""
    city, weather = rng.choice(CITIES), rng.choice(WEATHER)
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Get the weather in a city", "parameters": parameters}
    tool = {"type": "function", "function": function}
    # Renderers differ in key order and in spaces.
    text = json.dumps(tool, sort_keys=rng.random() < 0.5, separators=rng.choice([(", ", ": "), (",", ":")]))
    system = rng.choice([None, "You are a helpful assistant."])
    head = "<|im_start|>system\n" + (system + "\n" if system else "") + "Tools:\n" + text
    head += '\nAnswer with <tool_call>{"name": ..., "arguments": ...}</tool_call> to call one.<|im_end|>\n'
    question = rng.choice(["What is the weather in {}?", "Weather in {}", "How is the weather in {}?"]).format(city)
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "%s"}}</tool_call>' % city
    # The API hands arguments back as text, which a client may have written without spaces.
    replayed = call if rng.random() < 0.5 else call.replace('{"city": ', '{"city":')
    result = rng.choice([weather, weather.capitalize(), '{"weather": "%s"}' % weather, "It is %s." % weather])
    if rng.random() < 0.4:
        return [(head, False), _ask(question), (f"{call}<|im_end|>\n", True)]
    answered = f"{replayed}<|im_end|>\n<|im_start|>user\n<tool_response>{result}</tool_response><|im_end|>\n<|im_start|>assistant\n"
    return [(head, False), _ask(question), (answered, False), (f"The weather in {city} is {weather}.<|im_end|>\n", True)]


def tokenizer_texts() -> list[str]:
    """Text from which the tokenizer learns its vocabulary: without control tokens, answers weighted."""
    rng = random.Random(7)
    texts = []
    for questions, answer in FACTS:
        texts += questions + [answer] * 3
    texts += UNKNOWN + [FALLBACK] * 5
    for _ in range(30):
        texts.append("".join(text for text, _ in tool_conversation(rng)).replace("<|im_start|>", "").replace("<|im_end|>", ""))
    return texts
