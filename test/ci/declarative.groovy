/*
 * What a declarative pipeline says, by Groovy itself: Jenkins' compiler is of the same version, its plugin for
 * declarative pipelines is not here. Reads the file as a script in which every name is a section or a step, and
 * prints them as JSON: name, arguments, what is inside. Blocks of "expression" are evaluated, once for each image.
 *
 *   groovy declarative.groovy Jenkinsfile '{"IMAGES": "debian-12"}'
 */
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilerConfiguration

abstract class Recorder extends Script {
    List into = []

    def methodMissing(String name, args) {
        def words = args as List
        def block = words && words.last() instanceof Closure ? words.pop() : null
        def entry = [name: name, words: words, inside: []]
        into << entry
        if (block == null) return entry
        if (name == 'expression') {
            entry.words = binding.images.findAll { image ->
                binding.env.IMAGE = image
                block.call()
            }
            return entry
        }
        def outer = into
        into = entry.inside
        block.call()
        into = outer
        return entry
    }

    // A word alone, as in "agent none".
    def propertyMissing(String name) { name }
}

def file = new File(args[0])
def images = []
file.eachLine { line -> if (line =~ /^\s*(values )?'[a-z]+-/) line.findAll(/'([^']+)'/) { images << it[1] } }
def configuration = new CompilerConfiguration(scriptBaseClass: Recorder.name)
def binding = new Binding(env: [:], params: new JsonSlurper().parseText(args[1]), images: images)
def script = new GroovyShell(this.class.classLoader, binding, configuration).parse(file)
script.run()
println JsonOutput.toJson(script.into)
